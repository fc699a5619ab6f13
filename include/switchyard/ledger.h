// Who holds how much memory. The budget is one number; every large allocation is booked here under
// a purpose before it is made, and one that does not fit is refused with the whole ledger in the
// message.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace switchyard {

enum class Purpose { process, dense_weights, kv_cache, scratch, io_buffers, expert_slots };
inline constexpr std::size_t kPurposes = 6;
std::string_view purpose_name(Purpose purpose);

// Thread rule: all methods may be called from any thread.
class Ledger {
 public:
  static constexpr std::uint64_t kUnlimited = ~std::uint64_t{0};
  explicit Ledger(std::uint64_t budget = kUnlimited) : budget_(budget) {}

  std::uint64_t budget() const { return budget_; }
  std::uint64_t held(Purpose purpose) const {
    return held_[static_cast<std::size_t>(purpose)].load();
  }
  std::uint64_t total() const { return total_.load(); }
  std::uint64_t left() const;  // budget minus total, kUnlimited if unlimited
  std::uint64_t peak() const { return peak_.load(); }
  std::string table() const;  // one line a purpose, for people

  // Booked bytes, given back by the destructor. Move-only.
  class Booking {
   public:
    Booking() = default;
    Booking(Booking&& other) noexcept;
    Booking& operator=(Booking&& other) noexcept;
    ~Booking();
    std::uint64_t bytes() const { return bytes_; }

   private:
    friend class Ledger;
    void give_back() noexcept;
    std::shared_ptr<Ledger> ledger_;
    Purpose purpose_ = Purpose::process;
    std::uint64_t bytes_ = 0;
  };
  // Throws Error naming purpose, bytes, budget and what the others hold, if it would exceed the
  // budget.
  static Booking book(const std::shared_ptr<Ledger>& ledger, Purpose purpose, std::uint64_t bytes);

 private:
  [[noreturn]] void refuse(Purpose purpose, std::uint64_t bytes) const;

  std::uint64_t budget_;
  std::array<std::atomic<std::uint64_t>, kPurposes> held_{};
  std::atomic<std::uint64_t> total_{0};
  std::atomic<std::uint64_t> peak_{0};
};

}  // namespace switchyard
