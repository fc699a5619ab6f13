#include "formats/gguf/rope_keys.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "switchyard/error.h"

#include "formats/family.h"
#include "formats/json.h"

namespace switchyard {
namespace {

constexpr const char* kUnsupported = "use a model without it";
constexpr std::int64_t kMaxContext = 1 << 28;

// Of Llama 3.1; files of other programs have the tensor alone.
constexpr int kLlama3Context = 8192;
constexpr const char* kLowKey = "switchyard.rope.low_frequency_factor";
constexpr const char* kHighKey = "switchyard.rope.high_frequency_factor";
constexpr double kFactorTolerance = 1e-4;

// The logarithm's factor of YaRN's magnitude, which the keys have where Hugging Face has what it is
// multiplied by.
constexpr double kMagnitude = 0.1;

// No key says it: as the family's own programs do.
bool yarn_truncates(Family family) {
  const RopeScaling* usual = traits(family).rope_scaling;
  return usual == nullptr || usual->truncate;
}

class RopeReader {
 public:
  RopeReader(const GgufReader& gguf, const GgufArchitecture& row, ModelConfig& config)
      : gguf_(gguf), metadata_(gguf.metadata()), row_(row), config_(config) {}

  void read() {
    config_.rope_theta = static_cast<float>(number("rope.freq_base", 1e-3, 1e18, 10000.0));
    const std::string type = row_.key("rope.scaling.type");
    const std::string kind = metadata_.text(type, "linear");
    if (kind == "yarn") {
      read_yarn();
    } else if (kind == "linear") {
      read_linear();
    } else if (kind != "none") {
      metadata_.fail(type, "none, linear or yarn", kUnsupported);
    }
    read_factors();
  }

 private:
  double number(std::string_view rest, double low, double high, double fallback) const {
    return metadata_.number(row_.key(rest), low, high, fallback);
  }

  // 0 where no key says it, as other programs take it.
  float factor() const {
    const double factor =
        number("rope.scaling.factor", 0, 1e9, number("rope.scale_linear", 0, 1e9, 0));
    return factor == 0 ? 1.0F : static_cast<float>(factor);
  }

  void require_one(std::string_view rest) const {
    if (number(rest, 0, 1e9, 1) != 1) metadata_.fail(row_.key(rest), "1", kUnsupported);
  }

  void read_linear() {
    require_one("rope.scaling.attn_factor");
    if (factor() == 1.0F) return;
    config_.rope_scaling = {.kind = RopeKind::linear, .factor = factor()};
  }

  void read_yarn() {
    RopeScaling& out = config_.rope_scaling;
    out.kind = RopeKind::yarn;
    out.truncate = yarn_truncates(config_.family);
    out.factor = factor();
    out.original_context = static_cast<int>(metadata_.integer(
        row_.key("rope.scaling.original_context_length"), 1, kMaxContext, config_.context));
    out.beta_fast = static_cast<float>(number("rope.scaling.yarn_beta_fast", 0, 1e9, 32));
    out.beta_slow = static_cast<float>(number("rope.scaling.yarn_beta_slow", 0, 1e9, 1));
    for (const char* rest : {"rope.scaling.yarn_ext_factor", "rope.scaling.yarn_attn_factor"}) {
      require_one(rest);
    }
    const double multiplier = number("rope.scaling.yarn_log_multiplier", 0, 1e9, 0);
    if (config_.mla) {
      require_one("rope.scaling.attn_factor");
      if (multiplier == 0) {
        out.attention_factor = 1.0F;
      } else {
        // 0.1 times a decimal number: that number again.
        out.mscale_all_dim =
            static_cast<float>(shortest(static_cast<float>(multiplier)) / kMagnitude);
        out.mscale = out.mscale_all_dim;
      }
      return;
    }
    if (multiplier != 0) {
      metadata_.fail(row_.key("rope.scaling.yarn_log_multiplier"), "0", kUnsupported);
    }
    const double magnitude = number("rope.scaling.attn_factor", 1e-6, 1e6, 1);
    if (magnitude != 1) {
      out.attention_factor =
          static_cast<float>(magnitude * (1 + kMagnitude * std::log(double{out.factor})));
    }
  }

  // Llama 3.1 divides each frequency by a number of its own, by a rule.
  void read_factors() {
    const GgufTensor* tensor = gguf_.find(kRopeFactors);
    if (tensor == nullptr) return;
    const auto fail = [&](const std::string& what, const std::string& expected) {
      throw Error(
          {.what = what, .where = gguf_.place(*tensor), .expected = expected, .fix = kUnsupported});
    };
    const auto count = static_cast<std::uint64_t>(config_.rope_dim() / 2);
    if (tensor->type != gguf_tensor_type_id(DType::f32) || tensor->elements() != count) {
      fail("the factors of RoPE's frequencies do not fit",
           std::to_string(count) + " values of F32");
    }
    std::vector<float> factors(static_cast<std::size_t>(count));
    gguf_.read(*tensor, std::as_writable_bytes(std::span(factors)));
    if (std::all_of(factors.begin(), factors.end(), [](float f) { return f == 1.0F; })) return;

    ModelConfig scaled = config_;
    scaled.rope_scaling = {
        .kind = RopeKind::llama3,
        .factor = *std::max_element(factors.begin(), factors.end()),
        .original_context = static_cast<int>(metadata_.integer(
            row_.key("rope.scaling.original_context_length"), 1, kMaxContext, kLlama3Context)),
        .low_frequency_factor = static_cast<float>(metadata_.number(kLowKey, 1e-6, 1e9, 1)),
        .high_frequency_factor = static_cast<float>(metadata_.number(kHighKey, 1e-6, 1e9, 4))};
    const std::vector<float> rule = gguf_rope_factors(scaled);
    const bool same = std::equal(
        factors.begin(), factors.end(), rule.begin(),
        [](float a, float b) { return std::fabs(a - b) <= kFactorTolerance * std::fabs(b); });
    if (!same || config_.rope_scaling.kind != RopeKind::plain) {
      fail("the factors of RoPE's frequencies follow no known rule", "those of Llama 3.1");
    }
    config_.rope_scaling = scaled.rope_scaling;
  }

  const GgufReader& gguf_;
  const GgufMetadata& metadata_;
  const GgufArchitecture& row_;
  ModelConfig& config_;
};

bool yarn_fits(const ModelConfig& config) {
  const RopeScaling& scaling = config.rope_scaling;
  RopeScaling plain{.kind = RopeKind::yarn,
                    .factor = scaling.factor,
                    .original_context = scaling.original_context,
                    .truncate = yarn_truncates(config.family)};
  if (config.mla) {
    // Others have one number for both, and leave cosines and sines alone.
    if (scaling.mscale <= 0) return false;
    plain.mscale = plain.mscale_all_dim = scaling.mscale;
  }
  return scaling == plain;
}

float log_multiplier(const RopeScaling& scaling) {
  return static_cast<float>(shortest(scaling.mscale_all_dim) * kMagnitude);
}

}  // namespace

void read_gguf_rope(const GgufReader& gguf, const GgufArchitecture& row, ModelConfig& config) {
  RopeReader(gguf, row, config).read();
}

bool gguf_rope_fits(const ModelConfig& config, const GgufArchitecture& row) {
  switch (config.rope_scaling.kind) {
    case RopeKind::plain:
    case RopeKind::linear:
      return true;
    case RopeKind::llama3:
      return row.name == "llama";
    case RopeKind::yarn:
      return yarn_fits(config);
    case RopeKind::dynamic:
      return false;
  }
  return false;
}

void add_gguf_rope(const ModelConfig& config, const GgufArchitecture& row,
                   std::vector<std::pair<std::string, GgufValue>>& out) {
  out.emplace_back(row.key("rope.dimension_count"), static_cast<std::uint32_t>(config.rope_dim()));
  out.emplace_back(row.key("rope.freq_base"), config.rope_theta);
  const RopeScaling& scaling = config.rope_scaling;
  if (scaling.kind == RopeKind::plain) return;
  if (scaling.kind == RopeKind::llama3) {
    out.emplace_back(row.key("rope.scaling.original_context_length"),
                     static_cast<std::uint32_t>(scaling.original_context));
    out.emplace_back(kLowKey, scaling.low_frequency_factor);
    out.emplace_back(kHighKey, scaling.high_frequency_factor);
    return;
  }
  const bool yarn = scaling.kind == RopeKind::yarn;
  out.emplace_back(row.key("rope.scaling.type"), std::string(yarn ? "yarn" : "linear"));
  out.emplace_back(row.key("rope.scaling.factor"), scaling.factor);
  if (!yarn) return;
  out.emplace_back(row.key("rope.scaling.original_context_length"),
                   static_cast<std::uint32_t>(scaling.original_context));
  if (config.mla) {
    out.emplace_back(row.key("rope.scaling.yarn_log_multiplier"), log_multiplier(scaling));
  }
}

std::vector<float> gguf_rope_factors(const ModelConfig& config) {
  const RopeScaling& scaling = config.rope_scaling;
  if (scaling.kind != RopeKind::llama3) return {};
  const double low = scaling.low_frequency_factor;
  const double high = scaling.high_frequency_factor;
  std::vector<float> factors;
  for (int i = 0; i < config.rope_dim(); i += 2) {
    const double wavelength =
        2 * std::numbers::pi * std::pow(double{config.rope_theta}, double(i) / config.rope_dim());
    // How often the angle turns within the first training's context.
    const double turns = scaling.original_context / wavelength;
    const double smooth = std::clamp((turns - low) / (high - low), 0.0, 1.0);
    factors.push_back(static_cast<float>(1 / ((1 - smooth) / scaling.factor + smooth)));
  }
  return factors;
}

}  // namespace switchyard
