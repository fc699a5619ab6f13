#include "formats/rope_scaling.h"

#include <cmath>
#include <string>

#include "switchyard/error.h"

namespace switchyard {
namespace {

// m(s) of Peng 2023 as DeepSeek generalised it.
double yarn_magnitude(double factor, double scale) {
  return factor <= 1.0 ? 1.0 : 0.1 * scale * std::log(factor) + 1.0;
}

[[noreturn]] void fail(const std::string& field, const std::string& value,
                       const std::string& expected) {
  throw Error({.what = "rope_scaling." + field + " is " + value,
               .where = "model config",
               .expected = expected,
               .fix = {}});
}

void check(const char* field, float value, float low) {
  if (std::isfinite(value) && value >= low && value <= 1e9F) return;
  fail(field, std::to_string(value), std::to_string(low) + " to 1e9");
}

// The scaling with nothing set that its kind does not use.
RopeScaling used_part(const RopeScaling& scaling) {
  RopeScaling out;
  out.kind = scaling.kind;
  if (out.kind == RopeKind::plain) return out;
  if (out.kind == RopeKind::dynamic && scaling.alpha > 0) {
    out.alpha = scaling.alpha;
    return out;
  }
  out.factor = scaling.factor;
  if (out.kind == RopeKind::linear) return out;
  out.original_context = scaling.original_context;
  if (out.kind == RopeKind::dynamic) return out;
  if (out.kind == RopeKind::llama3) {
    out.low_frequency_factor = scaling.low_frequency_factor;
    out.high_frequency_factor = scaling.high_frequency_factor;
    return out;
  }
  out.beta_fast = scaling.beta_fast;
  out.beta_slow = scaling.beta_slow;
  out.truncate = scaling.truncate;
  out.attention_factor = scaling.attention_factor;
  out.mscale = scaling.mscale;
  out.mscale_all_dim = scaling.mscale_all_dim;
  return out;
}

}  // namespace

float rope_magnitude(const RopeScaling& scaling) {
  if (scaling.kind != RopeKind::yarn) return 1.0F;
  if (scaling.attention_factor > 0) return scaling.attention_factor;
  const double factor = scaling.factor;
  if (scaling.mscale > 0 && scaling.mscale_all_dim > 0) {
    return static_cast<float>(yarn_magnitude(factor, scaling.mscale) /
                              yarn_magnitude(factor, scaling.mscale_all_dim));
  }
  return static_cast<float>(yarn_magnitude(factor, 1.0));
}

void validate_rope_scaling(const RopeScaling& scaling, float theta) {
  if (!(scaling == used_part(scaling))) {
    fail("kind", std::to_string(static_cast<int>(scaling.kind)),
         "another, as it does not use all that is set");
  }
  if (scaling.kind == RopeKind::plain) return;
  if (scaling.alpha != 0) {
    check("alpha", scaling.alpha, 1e-6F);
    return;
  }
  check("factor", scaling.factor, 1.0F);
  if (scaling.kind == RopeKind::linear) return;
  if (scaling.original_context < 1) {
    fail("original_context", std::to_string(scaling.original_context), "1 or more");
  }
  if (scaling.kind == RopeKind::dynamic) return;
  if (scaling.kind == RopeKind::llama3) {
    check("low_frequency_factor", scaling.low_frequency_factor, 1e-6F);
    check("high_frequency_factor", scaling.high_frequency_factor, 1e-6F);
    if (scaling.high_frequency_factor <= scaling.low_frequency_factor) {
      fail("high_frequency_factor", std::to_string(scaling.high_frequency_factor),
           "above low_frequency_factor " + std::to_string(scaling.low_frequency_factor));
    }
    return;
  }
  check("beta_slow", scaling.beta_slow, 1e-6F);
  check("beta_fast", scaling.beta_fast, 1e-6F);
  if (scaling.beta_fast < scaling.beta_slow) {
    fail("beta_fast", std::to_string(scaling.beta_fast),
         "at least beta_slow " + std::to_string(scaling.beta_slow));
  }
  check("attention_factor", scaling.attention_factor, 0.0F);
  check("mscale", scaling.mscale, 0.0F);
  check("mscale_all_dim", scaling.mscale_all_dim, 0.0F);
  // The dimension at which a frequency turns so many times is found with the base's logarithm.
  if (theta <= 1.0F) {
    throw Error({.what = "rope_theta is " + std::to_string(theta),
                 .where = "model config",
                 .expected = "above 1 with yarn",
                 .fix = {}});
  }
}

float ModelConfig::attention_scale() const {
  const float scale = 1.0F / std::sqrt(static_cast<float>(head_dim));
  if (!mla || rope_scaling.kind != RopeKind::yarn || rope_scaling.mscale_all_dim <= 0) return scale;
  const double m = yarn_magnitude(rope_scaling.factor, rope_scaling.mscale_all_dim);
  return static_cast<float>(scale * m * m);
}

}  // namespace switchyard
