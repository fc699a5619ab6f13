// Long contexts: the cache's types, and that no setting changes a bit where contexts reach over
// many blocks and segments. What attention computes in one block is tested in kernels, that all of
// it is attention in engine_test.cc and here, against the reference decoder.
#include "runtime/kv_cache.h"

#include <algorithm>
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <tuple>
#include <vector>

#include "switchyard/runtime.h"

#include "kernels/kernels.h"
#include "runtime/blocked_attention.h"
#include "support/errors.h"
#include "support/memory_file_system.h"
#include "support/reference_decoder.h"
#include "support/tiny_model.h"

namespace switchyard::runtime {
namespace {

constexpr DType kTypes[] = {DType::f32, DType::f16, DType::bf16, DType::q8_0};

struct NamedConfig {
  std::string name;
  ModelConfig config;
};

// One model for each way of looking at a cache, with heads that Q8_0 takes.
std::vector<NamedConfig> long_configs() {
  const auto with_heads = [](ModelConfig c, int heads, int kv_heads) {
    c.heads = heads;
    c.kv_heads = kv_heads;
    c.head_dim = 32;
    c.context = 1024;
    return c;
  };
  ModelConfig windowed = with_heads(testing_support::tiny_windowed(), 4, 4);
  windowed.sliding_window = 100;
  windowed.layer_is_windowed = {true, true};
  ModelConfig sinks = with_heads(testing_support::tiny_gpt_oss(), 8, 1);
  sinks.sliding_window = 150;
  ModelConfig latent = testing_support::tiny_deepseek_v2();
  latent.mla->kv_rank = 32;
  latent.mla->rope_dim = 32;
  latent.head_dim = latent.mla->nope_dim + 32;
  latent.context = 1024;
  return {{"grouped", with_heads(testing_support::tiny_llama(), 6, 2)},
          {"windowed", windowed},
          {"sinks", sinks},
          {"latent", latent}};
}

std::vector<std::int32_t> some_tokens(std::size_t count, std::size_t seed = 0) {
  std::vector<std::int32_t> tokens;
  for (std::size_t i = 0; i < count; ++i) {
    tokens.push_back(static_cast<std::int32_t>((i * i * 5 + 11 * i + 3 + seed * 17) % 96));
  }
  return tokens;
}

ModelOptions with_types(DType k, DType v, int batch = 512, const std::string& kernels = "auto") {
  ModelOptions options;
  options.kernels = kernels;
  options.max_sessions = 3;
  options.max_batch_tokens = batch;
  options.cache_type_k = k;
  options.cache_type_v = v;
  return options;
}

class LongContext : public ::testing::Test {
 protected:
  std::string write(const NamedConfig& c) {
    testing_support::write_tiny_model(fs_, c.name, c.config, 5);
    return c.name;
  }
  std::shared_ptr<const Model> open(const std::string& path, const ModelOptions& options) {
    return Model::open(fs_, path, options);
  }
  // Logits of every position, fed in steps of `step` tokens.
  static std::vector<float> feed(Engine& engine, Session& session,
                                 std::span<const std::int32_t> tokens, std::size_t step) {
    std::vector<float> all;
    for (std::size_t at = 0; at < tokens.size(); at += step) {
      const StepInput input{.session = &session,
                            .tokens = tokens.subspan(at, std::min(step, tokens.size() - at)),
                            .all_logits = true};
      const auto logits = engine.step(std::span(&input, 1)).front();
      all.insert(all.end(), logits.begin(), logits.end());
    }
    return all;
  }
  std::vector<float> logits(const std::string& path, const ModelOptions& options, int threads,
                            std::size_t step, std::span<const std::int32_t> tokens) {
    Engine engine(open(path, options), {.threads = threads});
    Session session = engine.new_session();
    return feed(engine, session, tokens, step);
  }
  testing_support::MemoryFileSystem fs_;
};

double largest_difference(std::span<const float> a, std::span<const float> b) {
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(a[i]) - b[i]));
  }
  return worst;
}

TEST_F(LongContext, IsThatOfTheReferenceDecoder) {
  const auto tokens = some_tokens(330);
  for (const NamedConfig& c : long_configs()) {
    const std::string path = write(c);
    const auto expected = testing_support::reference_logits(fs_, path, tokens);
    const auto actual = logits(path, {}, 2, 512, tokens);
    ASSERT_EQ(actual.size(), expected.size());
    double worst = 0;
    for (std::size_t i = 0; i < actual.size(); ++i) {
      worst = std::max(worst, std::abs(actual[i] - expected[i]));
    }
    EXPECT_LT(worst, 5e-5) << c.name;
  }
}

TEST_F(LongContext, NeitherThreadsNorStepsNorBatchChangeABit) {
  const auto tokens = some_tokens(600);
  for (const NamedConfig& c : long_configs()) {
    const std::string path = write(c);
    for (const DType type : kTypes) {
      const DType v = c.config.mla ? DType::f32 : type;
      const auto expected = logits(path, with_types(type, v), 1, 600, tokens);
      for (const auto& [step, threads, batch] :
           {std::tuple{1, 2, 512}, {61, 5, 33}, {1, 1, 1}, {600, 2, 512}}) {
        EXPECT_EQ(logits(path, with_types(type, v, batch), threads, static_cast<std::size_t>(step),
                         tokens),
                  expected)
            << c.name << " " << dtype_name(type) << " step " << step << " threads " << threads;
      }
    }
  }
}

TEST_F(LongContext, EveryKernelSetGivesTheSameBits) {
  const auto tokens = some_tokens(300);
  for (const NamedConfig& c : long_configs()) {
    const std::string path = write(c);
    for (const DType type : kTypes) {
      const DType v = c.config.mla ? DType::f32 : type;
      const auto expected = logits(path, with_types(type, v, 512, "scalar"), 1, 280, tokens);
      for (const kernels::KernelSet& set : kernels::all()) {
        if (!set.supported()) continue;
        EXPECT_EQ(logits(path, with_types(type, v, 512, std::string(set.name)), 2, 280, tokens),
                  expected)
            << c.name << " " << set.name << " " << dtype_name(type);
      }
    }
  }
}

TEST_F(LongContext, ASequenceDoesNotNoticeTheOthersOfItsBatch) {
  for (const NamedConfig& c : long_configs()) {
    const std::string path = write(c);
    const ModelOptions options = with_types(DType::q8_0, c.config.mla ? DType::f32 : DType::f16);
    Engine engine(open(path, options), {.threads = 2});
    std::vector<std::vector<std::int32_t>> prompts;
    std::vector<Session> sessions;
    for (std::size_t i = 0; i < 3; ++i) {
      prompts.push_back(some_tokens(40 + 250 * i, i));
      sessions.push_back(engine.new_session());
    }
    std::vector<StepInput> inputs;
    for (std::size_t i = 0; i < 3; ++i) {
      const auto prompt = std::span<const std::int32_t>(prompts[i]);
      inputs.push_back(
          {.session = &sessions[i], .tokens = prompt.first(prompt.size() - 1), .all_logits = true});
    }
    auto together = engine.step(inputs);
    for (std::size_t i = 0; i < 3; ++i) {
      inputs[i].tokens = std::span<const std::int32_t>(prompts[i]).last(1);
    }
    const auto last = engine.step(inputs);
    for (std::size_t i = 0; i < 3; ++i) {
      together[i].insert(together[i].end(), last[i].begin(), last[i].end());
      EXPECT_EQ(together[i], logits(path, options, 1, 1000, prompts[i])) << c.name << " " << i;
    }
  }
}

TEST_F(LongContext, AfterTruncationAsIfTheRestHadNeverBeen) {
  const auto tokens = some_tokens(420), other = some_tokens(200, 3);
  for (const NamedConfig& c : long_configs()) {
    const std::string path = write(c);
    for (const DType type : kTypes) {
      const ModelOptions options = with_types(type, c.config.mla ? DType::f32 : type);
      Engine engine(open(path, options), {.threads = 2});
      Session session = engine.new_session();
      feed(engine, session, tokens, 420);
      session.truncate(77);
      const auto actual = feed(engine, session, other, 64);
      auto whole = tokens;
      whole.resize(77);
      whole.insert(whole.end(), other.begin(), other.end());
      const auto expected = logits(path, options, 1, 512, whole);
      EXPECT_EQ(actual, std::vector<float>(expected.begin() + 77 * 96, expected.end()))
          << c.name << " " << dtype_name(type);
    }
  }
}

// What rounding the cache does to logits of the order of 1 over a random model: f16 keeps 11 bits,
// bf16 8, Q8_0 about 7 of the largest of 32. Routes are those of f32: a near tie that falls the
// other way is no error of the cache.
TEST_F(LongContext, SmallerTypesKeepLogitsWithinTheirInterval) {
  const auto tokens = some_tokens(400);
  for (const NamedConfig& c : long_configs()) {
    const std::string path = write(c);
    std::vector<routing::Decision> routes(static_cast<std::size_t>(c.config.layers));
    const auto run = [&](DType k, DType v, const StepOptions& step, bool forced) {
      Engine engine(open(path, with_types(k, c.config.mla ? DType::f32 : v)), {.threads = 2});
      Session session = engine.new_session();
      const StepInput input{.session = &session,
                            .tokens = tokens,
                            .all_logits = true,
                            .forced = forced ? &routes : nullptr};
      return engine.step(std::span(&input, 1), step).front();
    };
    const StepOptions listen{.on_route = [&](const RouteRecord& record) {
      routes[static_cast<std::size_t>(record.layer)] = *record.decision;
    }};
    const auto exact = run(DType::f32, DType::f32, listen, false);
    const auto difference = [&](DType k, DType v) {
      return largest_difference(run(k, v, {}, c.config.moe.has_value()), exact);
    };
    const double f16 = difference(DType::f16, DType::f16);
    const double bf16 = difference(DType::bf16, DType::bf16);
    const double q8 = difference(DType::q8_0, DType::q8_0);
    EXPECT_GT(f16, 0) << c.name;
    EXPECT_LT(f16, 0.004) << c.name;
    EXPECT_LT(bf16, 0.03) << c.name;
    EXPECT_LT(q8, 0.04) << c.name;
    EXPECT_LT(f16, bf16) << c.name;
    if (c.config.mla) continue;
    // The types of keys and of values are told apart.
    EXPECT_NE(difference(DType::q8_0, DType::f32), difference(DType::f32, DType::q8_0)) << c.name;
  }
}

TEST_F(LongContext, MemoryIsThatOfTheTypes) {
  for (const NamedConfig& c : long_configs()) {
    const std::string path = write(c);
    const double f32 = static_cast<double>(kv_bytes(c.config, 1024));
    for (const auto& [type, share] :
         {std::pair{DType::f16, 0.5}, {DType::bf16, 0.5}, {DType::q8_0, 34.0 / 128}}) {
      const ModelOptions options = with_types(type, c.config.mla ? DType::f32 : type);
      const auto bytes = kv_bytes(c.config, 1024, kv_types(c.config, options));
      EXPECT_EQ(static_cast<double>(bytes), share * f32) << c.name << " " << dtype_name(type);
      const auto model = open(path, options);
      Engine engine(model, {.threads = 1});
      const Session session = engine.new_session();
      EXPECT_EQ(model->ledger().held(Purpose::kv_cache), bytes) << c.name;
    }
  }
}

TEST(KvTypes, RefusesWhatAModelCannotHave) {
  const auto refusal = [](const ModelConfig& config, DType k, DType v) {
    ModelOptions options;
    options.cache_type_k = k;
    options.cache_type_v = v;
    return testing_support::error_of([&] { kv_types(config, options); });
  };
  const ModelConfig narrow = testing_support::tiny_llama();  // heads of 8
  auto parts = refusal(narrow, DType::q8_0, DType::f32);
  EXPECT_EQ(parts.where, "--cache-type-k");
  EXPECT_THAT(parts.what, ::testing::HasSubstr("heads of this model are 8 wide"));
  EXPECT_EQ(parts.expected, "f32, f16 or bf16");
  EXPECT_EQ(refusal(narrow, DType::f16, DType::q8_0).where, "--cache-type-v");
  parts = refusal(narrow, DType::q4_0, DType::f32);
  EXPECT_EQ(parts.what, "a KV cache of type Q4_0 is not supported");
  const ModelConfig latent = testing_support::tiny_deepseek_v2();  // rows of 28
  EXPECT_THAT(refusal(latent, DType::q8_0, DType::f32).what,
              ::testing::HasSubstr("the cached rows of this model are 28 wide"));
  EXPECT_THAT(refusal(latent, DType::f32, DType::f16).where,
              ::testing::HasSubstr("--cache-type-v"));
  EXPECT_EQ(kv_types(latent, with_types(DType::bf16, DType::f32)).values, DType::bf16);
}

// 16 segments of 256 positions, then 8 for each doubling.
TEST(Segments, GrowWithTheContext) {
  EXPECT_EQ(segment_end(0), 256U);
  EXPECT_EQ(segment_end(255), 256U);
  EXPECT_EQ(segment_end(4095), 4096U);
  EXPECT_EQ(segment_end(4096), 4608U);
  EXPECT_EQ(segment_end(8191), 8192U);
  EXPECT_EQ(segment_end(8192), 9216U);
  EXPECT_EQ(segments_until(0), 0U);
  EXPECT_EQ(segments_until(4096), 16U);
  EXPECT_EQ(segments_until(131072), 16U + 5 * 8);
  for (std::size_t at = 0; at < 1U << 20; at = segment_end(at)) {
    EXPECT_EQ(at % kernels::kAttentionBlock, 0U);
  }
}

}  // namespace
}  // namespace switchyard::runtime
