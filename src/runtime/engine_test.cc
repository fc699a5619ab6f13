// The runtime against its oracle, and against itself under every setting that must not matter.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "switchyard/expert_pack.h"
#include "switchyard/runtime.h"

#include "kernels/kernels.h"
#include "support/errors.h"
#include "support/reference_decoder.h"
#include "support/temporary_directory.h"
#include "support/tiny_model.h"

namespace switchyard::runtime {
namespace {

using ::testing::HasSubstr;
using testing_support::error_of;

std::vector<std::int32_t> some_tokens(int vocab, std::size_t count, std::uint32_t seed = 1) {
  std::vector<std::int32_t> tokens(count);
  for (auto& t : tokens) {
    seed = seed * 1664525U + 1013904223U;
    t = static_cast<std::int32_t>((seed >> 8) % static_cast<std::uint32_t>(vocab));
  }
  return tokens;
}

struct NamedConfig {
  std::string name;
  ModelConfig config;
};

ModelConfig with_router(std::function<void(routing::Config&)> change) {
  ModelConfig config = testing_support::tiny_switchyard();
  routing::Config& router = config.moe->router;
  router = routing::Config{};
  router.experts = 8;
  router.experts_per_token = 2;
  change(router);
  return config;
}

ModelConfig recurrent(const std::function<void(routing::Config&)>& change) {
  ModelConfig config = testing_support::tiny_recurrent();
  change(config.moe->router);
  return config;
}

std::vector<NamedConfig> all_configs() {
  return {{"llama", testing_support::tiny_llama()},
          {"mistral", testing_support::tiny_mistral()},
          {"qwen2", testing_support::tiny_qwen2()},
          {"mixtral", testing_support::tiny_mixtral()},
          {"olmoe", testing_support::tiny_olmoe()},
          {"qwen2_moe", testing_support::tiny_qwen2_moe()},
          {"qwen3_moe", testing_support::tiny_qwen3_moe()},
          {"qwen3", testing_support::tiny_qwen3()},
          {"windowed", testing_support::tiny_windowed()},
          {"llama3", testing_support::tiny_llama3()},
          {"dynamic", testing_support::tiny_dynamic()},
          {"yarn", testing_support::tiny_yarn()},
          {"deepseek_v2", testing_support::tiny_deepseek_v2()},
          {"deepseek_v2_groups", testing_support::tiny_deepseek_v2_groups()},
          {"deepseek_v3", testing_support::tiny_deepseek_v3()},
          {"latent", testing_support::tiny_latent()},
          {"gpt_oss", testing_support::tiny_gpt_oss()},
          {"switchyard", testing_support::tiny_switchyard()},
          {"duo", testing_support::tiny_duo()},
          {"duo_router", testing_support::tiny_duo_router()},
          {"hash", with_router([](routing::Config& r) { r.kind = routing::Kind::hash; })},
          {"random", with_router([](routing::Config& r) { r.kind = routing::Kind::random; })},
          {"recurrent", testing_support::tiny_recurrent()},
          {"recurrent_rnn", recurrent([](routing::Config& r) { r.cell = routing::Cell::rnn; })},
          {"recurrent_not_passed",
           recurrent([](routing::Config& r) { r.state_passing = routing::StatePassing::none; })},
          {"mlp_router", with_router([](routing::Config& r) { r.router_hidden = 20; })},
          {"top_1", with_router([](routing::Config& r) {
             r.experts_per_token = 1;
             r.renormalize = false;
           })},
          {"top_p", with_router([](routing::Config& r) {
             r = routing::default_config(routing::Kind::top_p);
             r.experts_per_token = r.experts;
             r.threshold = 0.5F;
           })},
          {"sigmoid_threshold", with_router([](routing::Config& r) {
             r = routing::default_config(routing::Kind::sigmoid_threshold);
             r.experts_per_token = r.experts;
             r.min_experts_per_token = 0;
           })},
          {"frozen", with_router([](routing::Config& r) {
             r.experts_per_token = 5;
             r.frozen = true;
             r.softmax_after_selection = true;
           })},
          // Some tokens skip the layer.
          {"null_experts", with_router([](routing::Config& r) { r.null_experts = 8; })},
          {"null_experts_above_e", with_router([](routing::Config& r) {
             r.experts_per_token = 10;
             r.null_experts = 12;
           })}};
}

class EngineTest : public ::testing::Test {
 protected:
  std::string write(const ModelConfig& config, DType dtype = DType::f32) {
    const std::string path = directory_.path() + "/model" + std::to_string(count_++);
    testing_support::write_tiny_model(fs_, path, config, 7, dtype);
    return path;
  }

  std::vector<float> all_logits(const std::string& path, std::span<const std::int32_t> tokens,
                                const ModelOptions& options = {}, int threads = 1) {
    Engine engine(Model::open(fs_, path, options), {.threads = threads});
    Session session = engine.new_session();
    const StepInput input{.session = &session, .tokens = tokens, .all_logits = true};
    return engine.step(std::span(&input, 1)).front();
  }

  testing_support::TemporaryDirectory directory_;
  FileSystem& fs_ = real_file_system();
  int count_ = 0;
};

TEST_F(EngineTest, AgreesWithTheReferenceDecoderForEveryFamily) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const NamedConfig& c : all_configs()) {
      const std::string path = write(c.config, dtype);
      const auto tokens = some_tokens(c.config.vocab, 12);
      const std::vector<double> expected = testing_support::reference_logits(fs_, path, tokens);
      const std::vector<float> actual = all_logits(path, tokens);
      ASSERT_EQ(actual.size(), expected.size()) << c.name;
      double worst = 0;
      for (std::size_t i = 0; i < actual.size(); ++i)
        worst = std::max(worst, std::abs(actual[i] - expected[i]));
      // fp32 sums of a few dozen terms over two layers against double; logits are of the order
      // of 1.
      EXPECT_LT(worst, 2e-5) << c.name << " " << dtype_name(dtype);
    }
  }
}

TEST_F(EngineTest, EveryKernelSetGivesTheSameBits) {
  for (const ModelConfig& config :
       {testing_support::tiny_olmoe(), testing_support::tiny_deepseek_v2()}) {
    const std::string path = write(config, DType::bf16);
    const auto tokens = some_tokens(96, 20);
    const auto expected = all_logits(path, tokens, {.kernels = "scalar"});
    for (const kernels::KernelSet& set : kernels::all()) {
      if (!set.supported()) continue;
      EXPECT_EQ(all_logits(path, tokens, {.kernels = std::string(set.name)}), expected) << set.name;
    }
  }
}

TEST_F(EngineTest, BudgetPolicyPrefetchThreadsAndBatchSizeDoNotChangeABit) {
  for (const ModelConfig& config :
       {testing_support::tiny_mixtral(), testing_support::tiny_recurrent(),
        testing_support::tiny_deepseek_v3()}) {
    const std::string path = write(config);
    const auto tokens = some_tokens(96, 40);
    const auto expected = all_logits(path, tokens);
    for (const double share : {0.1, 0.25, 0.5, 1.0}) {
      for (const experts::PolicyEntry& policy : experts::policies()) {
        for (const Prefetch prefetch : {Prefetch::off, Prefetch::stale_gate}) {
          for (const int threads : {1, 2}) {
            const ModelOptions options{.expert_share = share,
                                       .expert_policy = std::string(policy.name),
                                       .prefetch = prefetch,
                                       .max_batch_tokens = threads == 1 ? 7 : 64};
            EXPECT_EQ(all_logits(path, tokens, options, threads), expected)
                << share << " " << policy.name << " threads " << threads;
          }
        }
      }
    }
  }
}

TEST_F(EngineTest, RoutersOfEveryKindGiveTheSameBitsUnderEveryBudget) {
  for (const NamedConfig& c : all_configs()) {
    const bool particular =
        c.config.family == Family::switchyard || c.config.family == Family::gpt_oss || c.config.mla;
    if (!c.config.moe || !particular) continue;
    const std::string path = write(c.config);
    const auto tokens = some_tokens(c.config.vocab, 40);
    const auto expected = all_logits(path, tokens);
    for (const double share : {0.1, 0.25, 0.5}) {
      for (const int batch : {1, 7, 64}) {
        const ModelOptions options{.expert_share = share, .max_batch_tokens = batch};
        EXPECT_EQ(all_logits(path, tokens, options, 2), expected) << c.name << " " << share;
      }
    }
  }
}

TEST_F(EngineTest, NullExpertsReadNothing) {
  // K = 1 and as many nulls as experts: about half of the tokens skip the layer.
  const auto config = with_router([](routing::Config& r) {
    r.experts_per_token = 1;
    r.null_experts = 8;
  });
  const auto model = Model::open(fs_, write(config), {.prefetch = Prefetch::off});
  Engine engine(model, {.threads = 1});
  Session session = engine.new_session();
  const auto tokens = some_tokens(96, 60);
  std::uint64_t chosen = 0;
  std::uint64_t nulls = 0;
  const StepOptions options{.on_route = [&](const RouteRecord& record) {
    chosen += record.decision->assignments();
    nulls += record.decision->null_count;
  }};
  for (const std::int32_t& t : tokens) {
    const StepInput input{.session = &session, .tokens = {&t, 1}};
    const std::uint64_t before = model->expert_stats().bytes_read, chosen_before = chosen;
    engine.step(std::span(&input, 1), options);
    if (chosen == chosen_before) {
      EXPECT_EQ(model->expert_stats().bytes_read, before);
    }
  }
  EXPECT_EQ(chosen + nulls, 60U);
  EXPECT_GT(nulls, 5U);
  EXPECT_GT(chosen, 5U);
  const experts::CacheStats stats = model->expert_stats();
  EXPECT_EQ(stats.hits + stats.misses + stats.late_hits, chosen);
}

// What every step reads and computes is what its routes say: an expert's bytes once for all tokens
// of the step that chose it, nothing for null experts and skips.
TEST_F(EngineTest, BytesReadAreThoseOfTheExpertsThatTheRoutesName) {
  for (const NamedConfig& c : all_configs()) {
    const bool particular =
        c.config.family == Family::switchyard || c.config.family == Family::gpt_oss || c.config.mla;
    if (!c.config.moe || !particular) continue;
    // Room for the experts of one layer at the least; LRU over two layers or more forgets.
    const auto model =
        Model::open(fs_, write(c.config), {.expert_share = 1.0, .prefetch = Prefetch::off});
    Engine engine(model, {.threads = 1});
    Session session = engine.new_session();
    const auto tokens = some_tokens(96, 40);
    std::set<std::pair<int, std::int32_t>> named;
    std::uint64_t uses = 0, chosen = 0, nulls = 0;
    const StepOptions options{.on_route = [&](const RouteRecord& r) {
      std::set<std::int32_t> of_step;
      for (const std::int32_t e : r.decision->expert) {
        named.insert({r.layer, e});
        of_step.insert(e);
      }
      uses += of_step.size();
      chosen += r.decision->assignments();
      nulls += r.decision->null_count;
    }};
    for (std::size_t at = 0; at < tokens.size(); at += 4) {
      const StepInput input{.session = &session, .tokens = std::span(tokens).subspan(at, 4)};
      engine.step(std::span(&input, 1), options);
    }
    const experts::CacheStats stats = model->expert_stats();
    EXPECT_EQ(stats.hits + stats.misses + stats.late_hits, uses) << c.name;
    EXPECT_EQ(stats.misses, named.size()) << c.name;  // each expert is read once, when first named
    if (c.name.starts_with("null")) {
      const auto k = static_cast<std::uint64_t>(c.config.moe->router.experts_per_token);
      EXPECT_EQ(chosen + nulls, tokens.size() * k) << c.name;
      EXPECT_GT(nulls, 0U) << c.name;
    }
  }
}

TEST_F(EngineTest, ReadsTheSameFromAPackAndInPlaceAndWithEitherReader) {
  const std::string path = write(testing_support::tiny_qwen3_moe(), DType::bf16);
  const auto tokens = some_tokens(96, 16);
  const auto in_place = all_logits(path, tokens, {.expert_share = 0.2});
  experts::write_pack(fs_, path, read_model_config(fs_, path));
  EXPECT_EQ(all_logits(path, tokens, {.expert_share = 0.2}), in_place);
  EXPECT_EQ(all_logits(path, tokens, {.expert_share = 0.2, .io = experts::IoBackend::pread}),
            in_place);
}

TEST_F(EngineTest, PromptAtOnceAndTokenByTokenGiveTheSameBits) {
  for (const NamedConfig& c : all_configs()) {
    const std::string path = write(c.config);
    const auto tokens = some_tokens(c.config.vocab, 15);
    const auto expected = all_logits(path, tokens);
    Engine engine(Model::open(fs_, path), {.threads = 2});
    Session session = engine.new_session();
    std::vector<float> actual;
    for (const std::int32_t& token : tokens) {
      const StepInput input{.session = &session, .tokens = {&token, 1}};
      const auto logits = engine.step(std::span(&input, 1)).front();
      actual.insert(actual.end(), logits.begin(), logits.end());
    }
    EXPECT_EQ(actual, expected) << c.name;
  }
}

TEST_F(EngineTest, ASequenceDoesNotNoticeTheOthersOfItsBatch) {
  for (const NamedConfig& c : all_configs()) {
    const std::string path = write(c.config);
    const auto model =
        Model::open(fs_, path, {.expert_share = 0.3, .max_sessions = 3, .max_batch_tokens = 8});
    Engine engine(model, {.threads = 2});
    std::vector<std::vector<std::int32_t>> prompts;
    std::vector<std::vector<float>> alone;
    for (std::uint32_t i = 0; i < 3; ++i) {
      prompts.push_back(some_tokens(c.config.vocab, 5 + 6 * i, i + 3));
      alone.push_back(all_logits(path, prompts.back()));
    }
    std::vector<Session> sessions;
    for (int i = 0; i < 3; ++i) sessions.push_back(engine.new_session(64));
    // All prompts but their last token in one step, then one token of each.
    std::vector<StepInput> first;
    std::vector<StepInput> second;
    for (std::size_t i = 0; i < 3; ++i) {
      const std::span<const std::int32_t> prompt = prompts[i];
      first.push_back(
          {.session = &sessions[i], .tokens = prompt.first(prompt.size() - 1), .all_logits = true});
      second.push_back({.session = &sessions[i], .tokens = prompt.last(1)});
    }
    auto together = engine.step(first);
    const auto last = engine.step(second);
    for (std::size_t i = 0; i < 3; ++i) {
      together[i].insert(together[i].end(), last[i].begin(), last[i].end());
      EXPECT_EQ(together[i], alone[i]) << c.name << " sequence " << i;
    }
  }
}

TEST_F(EngineTest, ReplayedRoutesGiveTheSameLogitsAndOtherRoutesDoNot) {
  const std::string path = write(testing_support::tiny_mixtral());
  const auto tokens = some_tokens(96, 9);
  Engine engine(Model::open(fs_, path, {.max_batch_tokens = 4}), {.threads = 1});
  std::vector<routing::Decision> recorded(2);
  const auto record = [&](const RouteRecord& r) {
    routing::Decision& into = recorded[static_cast<std::size_t>(r.layer)];
    if (into.offsets.empty()) into = {.experts = r.decision->experts, .offsets = {0}};
    for (std::size_t n = 0; n < r.decision->items(); ++n) {
      for (std::uint32_t a = r.decision->offsets[n]; a < r.decision->offsets[n + 1]; ++a) {
        into.expert.push_back(r.decision->expert[a]);
        into.weight.push_back(r.decision->weight[a]);
      }
      into.offsets.push_back(static_cast<std::uint32_t>(into.expert.size()));
    }
  };
  Session session = engine.new_session();
  StepInput input{.session = &session, .tokens = tokens, .all_logits = true};
  const auto expected = engine.step(std::span(&input, 1), {.on_route = record});
  session.truncate(0);
  input.forced = &recorded;
  EXPECT_EQ(engine.step(std::span(&input, 1)), expected);

  session.truncate(0);
  for (std::int32_t& e : recorded[1].expert) e = (e + 1) % 8;
  EXPECT_NE(engine.step(std::span(&input, 1)), expected);

  session.truncate(0);
  recorded[0].expert[0] = 8;
  EXPECT_THAT(error_of([&] { engine.step(std::span(&input, 1)); }).what, HasSubstr("expert 8"));
  recorded[0].expert[0] = 0;
  recorded.pop_back();
  EXPECT_THAT(error_of([&] { engine.step(std::span(&input, 1)); }).expected, HasSubstr("2 layers"));
}

TEST_F(EngineTest, TruncatingForgets) {
  const std::string path = write(testing_support::tiny_olmoe());
  const auto tokens = some_tokens(96, 10);
  Engine engine(Model::open(fs_, path), {.threads = 1});
  Session session = engine.new_session();
  const std::span<const std::int32_t> all = tokens;
  StepInput input{.session = &session, .tokens = all};
  const auto expected = engine.step(std::span(&input, 1));
  session.truncate(4);
  const auto elsewhere = some_tokens(96, 3, 99);
  input.tokens = elsewhere;
  EXPECT_NE(engine.step(std::span(&input, 1)), expected);
  session.truncate(4);
  input.tokens = all.subspan(4);
  EXPECT_EQ(engine.step(std::span(&input, 1)), expected);
}

TEST_F(EngineTest, AFailedStepLeavesTheSessionAsItWas) {
  const std::string path = write(testing_support::tiny_mixtral());
  const auto tokens = some_tokens(96, 6);
  Engine engine(Model::open(fs_, path), {.threads = 1});
  Session session = engine.new_session();
  StepInput input{.session = &session, .tokens = tokens};
  std::stop_source stopped;
  stopped.request_stop();
  EXPECT_THROW(engine.step(std::span(&input, 1), {.stop = stopped.get_token()}), Cancelled);
  EXPECT_EQ(session.length(), 0);
  const std::vector<std::int32_t> bad = {3, 96};
  input.tokens = bad;
  EXPECT_THAT(error_of([&] { engine.step(std::span(&input, 1)); }).what,
              HasSubstr("96 is not in the vocabulary"));
  EXPECT_EQ(session.length(), 0);
}

TEST_F(EngineTest, TheContextIsALimit) {
  const std::string path = write(testing_support::tiny_llama());
  Engine engine(Model::open(fs_, path), {.threads = 1});
  Session session = engine.new_session(4);
  const auto tokens = some_tokens(96, 5);
  const StepInput input{.session = &session, .tokens = tokens};
  EXPECT_THAT(error_of([&] { engine.step(std::span(&input, 1)); }).expected,
              HasSubstr("at most 4"));
  EXPECT_THAT(error_of([&] { engine.new_session(4000); }).expected, HasSubstr("128"));
}

TEST_F(EngineTest, ABudgetBelowTheFloorSaysTheFloorAndTheFloorIsEnough) {
  const std::string path = write(testing_support::tiny_mixtral());
  const auto parts = error_of([&] { Model::open(fs_, path, {.memory_budget = 1 << 20}); });
  EXPECT_THAT(parts.where, HasSubstr("--mem-budget"));
  EXPECT_THAT(parts.expected, HasSubstr("dense weights"));
  EXPECT_THAT(parts.expected, HasSubstr("at least"));
}

TEST_F(EngineTest, TheLedgerNeverExceedsTheBudget) {
  const std::string path = write(testing_support::tiny_mixtral());
  const std::uint64_t budget = std::uint64_t{1} << 30;
  const auto model = Model::open(fs_, path, {.memory_budget = budget});
  Engine engine(model, {.threads = 1});
  Session session = engine.new_session();
  const auto tokens = some_tokens(96, 30);
  const StepInput input{.session = &session, .tokens = tokens};
  engine.step(std::span(&input, 1));
  EXPECT_LE(model->ledger().peak(), budget);
  EXPECT_GT(model->ledger().held(Purpose::dense_weights), 0U);
  EXPECT_GT(model->ledger().held(Purpose::kv_cache), 0U);
  EXPECT_GT(model->ledger().held(Purpose::scratch), 0U);
  EXPECT_GT(model->ledger().held(Purpose::expert_slots), 0U);
}

TEST_F(EngineTest, ExpertsAreReadOnceWhenTheyFit) {
  const std::string path = write(testing_support::tiny_mixtral());
  const auto model = Model::open(fs_, path, {.prefetch = Prefetch::off});
  Engine engine(model, {.threads = 1});
  Session session = engine.new_session();
  const auto tokens = some_tokens(96, 60);
  for (const std::int32_t& t : tokens) {
    const StepInput input{.session = &session, .tokens = {&t, 1}};
    engine.step(std::span(&input, 1));
  }
  const experts::CacheStats stats = model->expert_stats();
  EXPECT_EQ(stats.evictions, 0U);
  EXPECT_LE(stats.misses, 16U);
  EXPECT_EQ(stats.hits + stats.misses + stats.late_hits, 60U * 2 * 2);
}

// K by option is the same model with that K in its config.
TEST_F(EngineTest, ExpertsPerTokenAreThoseOfTheOption) {
  ModelConfig config = testing_support::tiny_mixtral();
  const auto tokens = some_tokens(96, 12);
  const std::string two = write(config);
  for (const int k : {1, 5, 8}) {
    config.moe->router.experts_per_token = k;
    const std::string same = write(config);
    const auto expected = all_logits(same, tokens);
    EXPECT_EQ(all_logits(two, tokens, {.experts_per_token = {k}}), expected) << k;
    EXPECT_EQ(all_logits(two, tokens, {.experts_per_token = {k, k}}), expected) << k;
    EXPECT_EQ(all_logits(two, tokens, {.expert_share = 0.2, .experts_per_token = {k}}), expected);
    EXPECT_NE(all_logits(two, tokens), expected) << k;
  }
  const auto model = Model::open(fs_, two, {.experts_per_token = {3, 6}});
  EXPECT_EQ(model->experts_per_token(0), 3);
  EXPECT_EQ(model->experts_per_token(1), 6);
  EXPECT_EQ(model->config().moe->router.experts_per_token, 6);
  Engine engine(model, {.threads = 1});
  Session session = engine.new_session();
  std::vector<std::size_t> assignments;
  const StepInput input{.session = &session, .tokens = tokens};
  engine.step(std::span(&input, 1), {.on_route = [&](const RouteRecord& r) {
                assignments.push_back(r.decision->assignments());
              }});
  EXPECT_EQ(assignments, (std::vector<std::size_t>{12 * 3, 12 * 6}));
}

// A limit where the router itself decides, choices among all outputs where some are null.
TEST_F(EngineTest, ExpertsPerTokenLimitsTopPAndCountsNullExperts) {
  const auto tokens = some_tokens(96, 30);
  for (const NamedConfig& c : all_configs()) {
    const bool top_p = c.name == "top_p";
    if (!top_p && c.name != "null_experts") continue;
    const std::string path = write(c.config);
    const auto model = Model::open(fs_, path, {.experts_per_token = {3}});
    Engine engine(model, {.threads = 1});
    Session session = engine.new_session();
    const StepInput input{.session = &session, .tokens = tokens};
    engine.step(std::span(&input, 1), {.on_route = [&](const RouteRecord& r) {
                  std::uint32_t most = 0;
                  for (std::size_t n = 0; n < r.decision->items(); ++n) {
                    most = std::max(most, r.decision->offsets[n + 1] - r.decision->offsets[n]);
                  }
                  EXPECT_LE(most, 3U) << c.name;
                  EXPECT_EQ(r.decision->assignments() + r.decision->null_count,
                            top_p ? r.decision->assignments() : 30U * 3);
                }});
    ModelConfig same = c.config;
    same.moe->router.experts_per_token = 3;
    EXPECT_EQ(all_logits(path, tokens, {.experts_per_token = {3}}), all_logits(write(same), tokens))
        << c.name;
  }
}

TEST_F(EngineTest, ExpertsPerTokenThatMakeNoSenseAreRefused) {
  const auto refused = [&](const ModelConfig& config, std::vector<int> k) {
    const std::string path = write(config);
    return error_of([&] { Model::open(fs_, path, {.experts_per_token = std::move(k)}); });
  };
  const ModelConfig mixtral = testing_support::tiny_mixtral();
  EXPECT_THAT(refused(mixtral, {9}).what, HasSubstr("'experts_per_token' is 9"));
  EXPECT_THAT(refused(mixtral, {9}).where, HasSubstr("--experts-per-token"));
  EXPECT_THAT(refused(mixtral, {2, 0}).expected, HasSubstr("1 to 8"));
  EXPECT_THAT(refused(mixtral, {1, 2, 3}).expected, HasSubstr("2 layers"));
  EXPECT_THAT(refused(testing_support::tiny_llama(), {1}).what, HasSubstr("no experts"));
  EXPECT_THAT(
      refused(with_router([](routing::Config& r) { r.kind = routing::Kind::hash; }), {1}).what,
      HasSubstr("'hash' does not take"));
}

TEST_F(EngineTest, ARouterThatLooksAheadIsRefused) {
  const std::string path =
      write(with_router([](routing::Config& r) { r.kind = routing::Kind::expert_choice; }));
  EXPECT_THAT(error_of([&] { Model::open(fs_, path); }).what, HasSubstr("looks at later tokens"));
}

TEST_F(EngineTest, AModelWithAMissingTensorIsRefusedByName) {
  const std::string path = write(testing_support::tiny_mixtral());
  // The same weights under a config that promises one layer more.
  ModelConfig more = testing_support::tiny_mixtral();
  more.layers = 3;
  more.layer_is_moe.push_back(true);
  const std::string other = write(more);
  const std::string config = read_file(fs_, other + "/config.json");
  write_file_atomically(fs_, path + "/config.json", config);
  const auto parts = error_of([&] { Model::open(fs_, path); });
  EXPECT_THAT(parts.what + parts.where, HasSubstr("model.layers.2"));
}

}  // namespace
}  // namespace switchyard::runtime
