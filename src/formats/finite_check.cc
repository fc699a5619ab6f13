#include "formats/finite_check.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "switchyard/error.h"

#include "formats/dtype.h"
#include "formats/json.h"
#include "formats/quant/quant.h"
#include "kernels/blocks.h"

namespace switchyard {
namespace {

constexpr std::uint64_t kPieceElements = 1 << 22;
constexpr std::size_t kGrainElements = 1 << 16;
constexpr std::uint8_t kReserved = 255;

[[noreturn]] void fail(const WeightFiles& weights, const TensorInfo& tensor,
                       const std::string& what) {
  throw Error({.what = what,
               .where = weights.files()[tensor.file] + ": tensor " +
                        shown(weights.stored_name(tensor.name)),
               .expected = "finite numbers",
               .fix = "get the model again: it is damaged"});
}

void check_rows(const WeightFiles& weights, const TensorInfo& tensor,
                std::span<const std::byte> bytes, std::size_t elements) {
  if (has_reserved_scale(tensor.dtype, bytes)) {
    fail(weights, tensor, "the scale of a block is not a number");
  }
  std::vector<float> values(elements);
  convert_to_f32(tensor.dtype, bytes, values);
  if (const auto at = quant::first_non_finite(values)) {
    fail(weights, tensor, "a weight is " + std::to_string(values[*at]));
  }
}

}  // namespace

bool has_reserved_scale(DType dtype, std::span<const std::byte> blocks) {
  if (dtype != DType::mxfp4) return false;
  for (std::size_t at = 0; at < blocks.size(); at += sizeof(kernels::BlockMXFP4)) {
    if (std::to_integer<std::uint8_t>(blocks[at]) == kReserved) return true;
  }
  return false;
}

void check_finite(const WeightFiles& weights, const TensorInfo& tensor, ThreadPool* pool) {
  if (!is_floating(tensor.dtype) && !is_quantised(tensor.dtype)) return;
  // Where rows lie does not matter here, only that pieces are whole blocks.
  const DTypeBlock block = dtype_block(tensor.dtype);
  const auto elements = static_cast<std::uint64_t>(tensor.elements());
  const std::uint64_t step =
      tensor.sources ? elements : kPieceElements / block.elements * block.elements;
  std::vector<std::byte> bytes;
  for (std::uint64_t first = 0; first < elements; first += step) {
    const std::uint64_t count = std::min(step, elements - first);
    TensorInfo piece = tensor;
    piece.paired_heads = 0;
    piece.offset += first / block.elements * block.bytes;
    piece.bytes = count / block.elements * block.bytes;
    bytes.resize(static_cast<std::size_t>(piece.bytes));
    weights.read(piece, bytes);
    const auto blocks = static_cast<std::size_t>(count / block.elements);
    const auto body = [&](std::size_t begin, std::size_t end) {
      check_rows(weights, tensor,
                 std::span(bytes).subspan(begin * block.bytes, (end - begin) * block.bytes),
                 (end - begin) * block.elements);
    };
    if (pool == nullptr) {
      body(0, blocks);
    } else {
      pool->parallel_for(blocks, std::max<std::size_t>(1, kGrainElements / block.elements), body);
    }
  }
}

}  // namespace switchyard
