// What the kernel tests share: memory that ends where nothing may be read, numbers, and comparison
// of bits.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <stdexcept>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include "kernels/kernels.h"

namespace switchyard::kernels {

// n elements whose last byte is the last of a page; the next page cannot be touched. So a kernel
// that reads or writes behind its input ends the test, and the start is aligned to the element
// only.
template <typename Element>
class Guarded {
 public:
  explicit Guarded(std::size_t n) : n_(n) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t used = (n * sizeof(Element) + page - 1) / page * page;
    bytes_ = used + page;
    base_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base_ == MAP_FAILED) throw std::runtime_error("mmap failed");
    auto* const guard = static_cast<char*>(base_) + used;
    if (mprotect(guard, page, PROT_NONE) != 0) throw std::runtime_error("mprotect failed");
    data_ = reinterpret_cast<Element*>(guard - n * sizeof(Element));
  }
  explicit Guarded(std::span<const Element> values) : Guarded(values.size()) {
    std::copy(values.begin(), values.end(), data_);
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  ~Guarded() { munmap(base_, bytes_); }

  Element* data() { return data_; }
  const Element* data() const { return data_; }
  std::size_t size() const { return n_; }
  Element& operator[](std::size_t i) { return data_[i]; }
  const Element& operator[](std::size_t i) const { return data_[i]; }
  std::vector<Element> copy() const { return {data_, data_ + n_}; }

 private:
  std::size_t n_;
  std::size_t bytes_ = 0;
  void* base_ = nullptr;
  Element* data_ = nullptr;
};

inline std::vector<float> normal_numbers(std::size_t n, unsigned seed, float scale = 1.0F) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0F, scale);
  std::vector<float> numbers(n);
  for (float& x : numbers) x = normal(random);
  return numbers;
}

inline std::vector<Bf16> narrowed(const std::vector<float>& numbers) {
  std::vector<Bf16> result;
  for (const float x : numbers) result.push_back(to_bf16(x));
  return result;
}

// The same bits; two NaN are the same whatever their payload, which the order of an instruction's
// operands decides.
inline bool same_bits(float a, float b) {
  if (std::isnan(a) && std::isnan(b)) return true;
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}
// The first index at which the two differ, or their length.
inline std::size_t first_difference(std::span<const float> a, std::span<const float> b) {
  std::size_t i = 0;
  while (i < a.size() && i < b.size() && same_bits(a[i], b[i])) ++i;
  return i;
}

// The sets this CPU runs, without the scalar one.
inline std::vector<const KernelSet*> vector_sets() {
  std::vector<const KernelSet*> sets;
  for (const KernelSet& set : all().subspan(1)) {
    if (set.supported()) sets.push_back(&set);
  }
  return sets;
}

inline const std::vector<std::size_t>& lengths() {
  static const std::vector<std::size_t> values = {0,  1,  2,  7,  8,  9,  15, 16,  17,
                                                  31, 32, 33, 48, 63, 64, 65, 128, 1000};
  return values;
}

}  // namespace switchyard::kernels
