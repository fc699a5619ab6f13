// ModelConfig and weights -> a GGUF file.
#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <utility>

#include "switchyard/error.h"

#include "base/check.h"
#include "formats/gguf/architecture.h"
#include "formats/gguf/gguf_model.h"
#include "formats/gguf/model_parts.h"
#include "formats/gguf/rope_keys.h"
#include "formats/gguf/tensor_converter.h"
#include "formats/json.h"

namespace switchyard {
namespace {

constexpr std::uint32_t kPackedAlignment = 4096;
constexpr std::uint32_t kQuantisationVersion = 2;  // of the blocks' layouts

// general.file_type, for people: the type most of the file is of.
struct FileType {
  DType dtype;
  std::uint32_t number;
};
constexpr std::array kFileTypes = {
    FileType{DType::f32, 0},     FileType{DType::f16, 1},     FileType{DType::q4_0, 2},
    FileType{DType::q4_1, 3},    FileType{DType::q8_0, 7},    FileType{DType::q5_0, 8},
    FileType{DType::q5_1, 9},    FileType{DType::q2_k, 10},   FileType{DType::q3_k, 12},
    FileType{DType::q4_k, 15},   FileType{DType::q5_k, 17},   FileType{DType::q6_k, 18},
    FileType{DType::iq4_nl, 25}, FileType{DType::iq4_xs, 30}, FileType{DType::bf16, 32},
    FileType{DType::mxfp4, 38},
};

// A tensor of the file: one weight, or all experts of a layer one behind the other, or values of
// ours.
struct Tensor {
  std::string name;
  std::vector<std::int64_t> shape{};  // outermost first
  std::vector<std::uint64_t> dims{};
  std::vector<GgufPart> parts{};
  std::vector<float> values{};
  DType dtype = DType::f32;

  std::uint64_t bytes() const {
    return *dtype_bytes(
        dtype, std::accumulate(dims.begin(), dims.end(), std::uint64_t{1}, std::multiplies<>()));
  }
};

class ModelWriter {
 public:
  ModelWriter(const ModelConfig& config, const WeightFiles& weights,
              const GgufWriteOptions& options)
      : config_(config),
        weights_(weights),
        options_(options),
        architecture_(architecture_for(config)),
        converter_(weights, options.pool) {}

  void write(FileSystem& fs, const std::string& path) {
    GgufWriter writer(options_.packed ? kPackedAlignment : 32);
    auto metadata = gguf_metadata_of(config_);
    list_tensors();
    for (auto& [key, value] : metadata) writer.set(std::move(key), std::move(value));
    if (!options_.name.empty()) writer.set("general.name", options_.name);
    set_types(writer);
    for (const auto& [key, value] : options_.metadata) writer.set(key, value);
    for (const Tensor& tensor : tensors_) total_ += tensor.bytes();
    for (const Tensor& tensor : tensors_) {
      writer.add({.name = tensor.name,
                  .type = *gguf_tensor_type_id(tensor.dtype),
                  .dims = tensor.dims,
                  .write = [this, &tensor](AtomicFile& file) { append(file, tensor); }});
    }
    writer.commit(fs, path);
  }

 private:
  // Experts of one width are merged into one tensor unless each is to be one read.
  bool merges() const { return !options_.packed && config_.moe->expert_hidden.empty(); }

  void list_tensors() {
    std::map<std::string, std::size_t> merged;  // name -> index in tensors_
    for (GgufPart& part : gguf_parts(config_)) {
      if (!part.is_expert() || !merges()) {
        Tensor tensor{.name = part.is_expert() ? part.own_tensor() : part.tensor,
                      .shape = part.shape,
                      .dims = part.dims()};
        tensor.parts.push_back(std::move(part));
        tensors_.push_back(std::move(tensor));
        continue;
      }
      const auto [it, first] = merged.emplace(part.tensor, tensors_.size());
      if (first) {
        Tensor tensor{.name = part.tensor, .shape = part.shape, .dims = part.dims()};
        const int experts = config_.moe->router.experts;
        tensor.shape.insert(tensor.shape.begin(), experts);
        tensor.dims.push_back(static_cast<std::uint64_t>(experts));
        tensors_.push_back(std::move(tensor));
      }
      tensors_[it->second].parts.push_back(std::move(part));
    }
    for (Tensor& tensor : tensors_) tensor.dtype = type_of(tensor);
    if (architecture_ == nullptr) return;
    Tensor factors{.name = kRopeFactors, .values = gguf_rope_factors(config_)};
    if (factors.values.empty()) return;
    factors.dims = {factors.values.size()};
    tensors_.push_back(std::move(factors));
  }

  DType type_of(const Tensor& tensor) const {
    const GgufPart& part = tensor.parts.front();
    const TensorInfo& source = weights_.find(part.weight, part.shape);
    DType dtype = source.dtype;
    if (part.always_f32) {
      dtype = DType::f32;
    } else if (options_.type_of) {
      dtype = options_.type_of(tensor.name, tensor.shape).value_or(dtype);
    }
    if (!gguf_tensor_type_id(dtype)) fail(tensor, dtype, "a type that GGUF files have");
    if (!dtype_bytes(dtype, tensor.dims.front())) {
      fail(tensor, dtype,
           "rows that are whole blocks: the rows here are " + std::to_string(tensor.dims.front()) +
               " long");
    }
    return dtype;
  }

  [[noreturn]] static void fail(const Tensor& tensor, DType dtype, const std::string& expected) {
    throw Error({.what = "type " + std::string(dtype_name(dtype)) + " was chosen",
                 .where = "tensor " + shown(tensor.name),
                 .expected = expected,
                 .fix = "choose another type for this tensor, such as Q8_0 or F16"});
  }

  void set_types(GgufWriter& writer) const {
    std::map<DType, std::uint64_t> bytes;
    for (const Tensor& tensor : tensors_) bytes[tensor.dtype] += tensor.bytes();
    const auto most =
        std::max_element(bytes.begin(), bytes.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    for (const FileType& type : kFileTypes) {
      if (type.dtype == most->first) writer.set("general.file_type", type.number);
    }
    const bool quantised = std::any_of(bytes.begin(), bytes.end(),
                                       [](const auto& entry) { return is_quantised(entry.first); });
    if (quantised) writer.set("general.quantization_version", kQuantisationVersion);
  }

  void append(AtomicFile& file, const Tensor& tensor) {
    file.append(std::as_bytes(std::span(tensor.values)));
    for (const GgufPart& part : tensor.parts) {
      std::vector<float> importance;
      if (is_quantised(tensor.dtype) && options_.importance) {
        importance = options_.importance(part.weight);
        SWITCHYARD_CHECK(importance.empty() ||
                         importance.size() == static_cast<std::size_t>(part.shape.back()));
      }
      converter_.append(
          file, weights_.find(part.weight, part.shape),
          {.to = tensor.dtype, .paired_heads = paired_heads(part), .importance = importance});
    }
    done_ += tensor.bytes();
    if (options_.progress) options_.progress(done_, total_);
  }

  int paired_heads(const GgufPart& part) const {
    if (architecture_ == nullptr || !architecture_->paired_rows) return 0;
    return part.rotary == RotaryRows::queries ? config_.heads
           : part.rotary == RotaryRows::keys  ? config_.kv_heads
                                              : 0;
  }

  const ModelConfig& config_;
  const WeightFiles& weights_;
  const GgufWriteOptions& options_;
  const GgufArchitecture* architecture_;
  TensorConverter converter_;
  std::vector<Tensor> tensors_;
  std::uint64_t done_ = 0;
  std::uint64_t total_ = 0;
};

}  // namespace

void write_gguf(FileSystem& fs, const std::string& path, const ModelConfig& config,
                const WeightFiles& weights, const GgufWriteOptions& options) {
  ModelWriter(config, weights, options).write(fs, path);
}

}  // namespace switchyard
