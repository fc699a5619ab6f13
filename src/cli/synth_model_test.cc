#include "cli/synth_model.h"

#include <algorithm>
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <set>
#include <stdexcept>

#include "switchyard/chat_template.h"
#include "switchyard/gguf.h"
#include "switchyard/runtime.h"
#include "switchyard/tokenizer.h"

#include "formats/family.h"
#include "formats/synthetic/shapes.h"
#include "support/errors.h"
#include "support/memory_file_system.h"
#include "support/temporary_directory.h"

namespace switchyard::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

ModelConfig config_of(Family family, const ShapeChanges& changes = {.layers = 2, .vocab = 600}) {
  return synthetic_config(find_synthetic_shape(kTinyShape, family), changes);
}

GgufTypes all(DType type) {
  GgufTypes types;
  types.set_all(type);
  return types;
}

class SynthModelTest : public ::testing::Test {
 protected:
  FileSystem& fs_ = real_file_system();
  testing_support::TemporaryDirectory directory_;
};

TEST_F(SynthModelTest, ThreadsDoNotChangeAByte) {
  const ModelConfig config = config_of(Family::olmoe, {.layers = 1, .experts = 6, .vocab = 300});
  for (const int threads : {1, 3}) {
    const std::string to = directory_ / std::to_string(threads);
    write_synthetic_model(fs_, to + ".gguf", config,
                          {.types = all(DType::q4_k), .threads = threads});
    write_synthetic_model(fs_, to, config, {.threads = threads});
  }
  EXPECT_EQ(read_file(fs_, directory_ / "1.gguf"), read_file(fs_, directory_ / "3.gguf"));
  EXPECT_EQ(read_file(fs_, directory_ / "1/model.safetensors"),
            read_file(fs_, directory_ / "3/model.safetensors"));

  const std::string other = directory_ / "other.gguf";
  write_synthetic_model(fs_, other, config, {.seed = 2, .types = all(DType::q4_k)});
  EXPECT_NE(read_file(fs_, other), read_file(fs_, directory_ / "1.gguf"));
}

TEST_F(SynthModelTest, ADirectoryHasAllThatProgramsLookFor) {
  const std::string d = directory_ / "d";
  write_synthetic_model(fs_, d, config_of(Family::qwen3_moe),
                        {.pack = true, .shard_bytes = 1 << 20});
  const auto names = fs_.list(d);
  for (const char* name : {"config.json", "tokenizer.json", "tokenizer_config.json",
                           "model.safetensors.index.json", "experts.swpack"}) {
    EXPECT_THAT(names, ::testing::Contains(name));
  }
  const ModelConfig read = read_model_config(fs_, d);
  const Tokenizer tokenizer = Tokenizer::load(fs_, d);
  EXPECT_EQ(tokenizer.vocab_size(), 600U);
  EXPECT_EQ(tokenizer.token(read.eos.at(0)), "<|im_end|>");
  EXPECT_EQ(tokenizer.token(read.eos.at(1)), "<|endoftext|>");
  EXPECT_EQ(tokenizer.token(read.bos.value()), "<|endoftext|>");
  const auto chat = find_chat_template(fs_, d);
  ASSERT_TRUE(chat.has_value());
  EXPECT_EQ(chat->render({{{"role", "user"}, {"content", "Hi"}}}),
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(find_chat_tokens(fs_, d).eos, "<|im_end|>");
}

TEST_F(SynthModelTest, AGgufFileHasTheKeysThatProgramsLookFor) {
  const std::string path = directory_ / "m.gguf";
  write_synthetic_model(fs_, path, config_of(Family::mixtral),
                        {.types = all(DType::q4_0), .name = "a name"});
  const GgufReader gguf(fs_, path);
  const GgufMetadata& keys = gguf.metadata();
  EXPECT_EQ(keys.text("general.architecture"), "llama");
  EXPECT_EQ(keys.text("general.name"), "a name");
  EXPECT_EQ(keys.text("tokenizer.ggml.model"), "gpt2");
  EXPECT_EQ(keys.text("tokenizer.ggml.pre"), "gpt-2");
  EXPECT_EQ(keys.texts("tokenizer.ggml.tokens").size(), 600U);
  EXPECT_EQ(keys.array("tokenizer.ggml.token_type").size(), 600U);
  EXPECT_EQ(keys.texts("tokenizer.ggml.merges").size(), 600U - 259);
  EXPECT_EQ(keys.integer("tokenizer.ggml.eos_token_id", 0, 599), 599);
  EXPECT_EQ(keys.integer("tokenizer.ggml.bos_token_id", 0, 599), 597);
  EXPECT_FALSE(keys.boolean("tokenizer.ggml.add_bos_token"));
  EXPECT_THAT(keys.text("tokenizer.chat_template"), HasSubstr("<|im_start|>"));
  EXPECT_EQ(gguf.find("blk.0.ffn_down_exps.weight")->type, *gguf_tensor_type_id(DType::q4_0));
  EXPECT_EQ(gguf.find("blk.0.ffn_gate_inp.weight")->type, *gguf_tensor_type_id(DType::f32));
}

TEST_F(SynthModelTest, NothingStaysOfAModelThatIsNotWhole) {
  const ModelConfig config = config_of(Family::olmoe);
  for (const std::string name : {"m.gguf", "d"}) {
    const std::string to = directory_ / name;
    std::uint64_t made = 0;
    const SynthOptions stopped{.made = [&](std::uint64_t values) {
      made += values;
      if (made > config.parameters() / 2) throw std::runtime_error("stop");
    }};
    EXPECT_THROW(write_synthetic_model(fs_, to, config, stopped), std::runtime_error);
    EXPECT_THAT(fs_.list(directory_.path()), ElementsAre()) << name;

    testing_support::MemoryFileSystem full;
    full.say_free(config.parameters());
    const auto error =
        testing_support::error_of([&] { write_synthetic_model(full, name, config, {}); });
    EXPECT_THAT(error.what, HasSubstr("the disk has")) << name;
    EXPECT_THAT(full.list("."), ElementsAre()) << name;
  }
  write_synthetic_model(fs_, directory_ / "d", config, {});
  EXPECT_THAT(testing_support::error_of([&] {
                write_synthetic_model(fs_, directory_ / "d", config, {});
              }).what,
              HasSubstr("exists already"));
}

// ---- What the weights do ------------------------------------------------------------------------

struct Behaviour {
  // Of every MoE layer: the experts of each token, sorted.
  std::map<int, std::vector<std::vector<int>>> chosen;
  std::vector<float> logits;  // [T, V]
};

Behaviour run(const ModelConfig& config, std::span<const std::int32_t> tokens) {
  const testing_support::TemporaryDirectory directory;
  const std::string path = directory / "model";
  write_synthetic_model(real_file_system(), path, config, {.threads = 2});
  const auto model = runtime::Model::open(real_file_system(), path);
  runtime::Engine engine(model, {.threads = 1});
  runtime::Session session = engine.new_session();
  Behaviour out;
  const runtime::StepInput input{.session = &session, .tokens = tokens, .all_logits = true};
  const auto keep = [&](const runtime::RouteRecord& record) {
    const routing::Decision& d = *record.decision;
    for (std::size_t n = 0; n < d.items(); ++n) {
      std::vector<int> experts(d.expert.begin() + d.offsets[n],
                               d.expert.begin() + d.offsets[n + 1]);
      std::ranges::sort(experts);
      out.chosen[record.layer].push_back(std::move(experts));
    }
  };
  out.logits = engine.step(std::span(&input, 1), {.on_route = keep}).front();
  return out;
}

std::vector<std::int32_t> different_tokens(int count, int vocab) {
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) tokens[static_cast<std::size_t>(i)] = i * 7919 % vocab;
  return tokens;
}

// As in a trained model, and unlike in one whose hidden states are all alike: other tokens choose
// other experts, in every layer, and no expert is idle or takes all.
TEST_F(SynthModelTest, RoutingDependsOnTheToken) {
  constexpr int kTokens = 400;
  for (const FamilyTraits* family : families()) {
    if (family->kind == FamilyKind::dense) continue;
    const ModelConfig config =
        config_of(family->family, {.layers = 6, .hidden = 64, .vocab = 512, .context = 1024});
    const int experts = config.moe->router.experts;
    const int k = config.moe->router.experts_per_token;
    const Behaviour b = run(config, different_tokens(kTokens, config.vocab));
    for (const auto& [layer, chosen] : b.chosen) {
      SCOPED_TRACE(std::string(family->model_type) + " layer " + std::to_string(layer));
      ASSERT_EQ(chosen.size(), static_cast<std::size_t>(kTokens));
      // C(16, 4) = 1820 sets (of which groups forbid some), C(8, 2) = 28.
      const std::set<std::vector<int>> sets(chosen.begin(), chosen.end());
      EXPECT_GE(sets.size(), experts == 8 ? 27U : 150U);
      std::vector<int> load(static_cast<std::size_t>(experts));
      double shared = 0;  // experts in common with the token before
      for (std::size_t i = 0; i < chosen.size(); ++i) {
        for (const int e : chosen[i]) ++load[static_cast<std::size_t>(e)];
        if (i == 0) continue;
        std::vector<int> both;
        std::ranges::set_intersection(chosen[i - 1], chosen[i], std::back_inserter(both));
        shared += static_cast<double>(both.size()) / (kTokens - 1);
      }
      const double mean = static_cast<double>(kTokens * k) / experts;
      const auto [least, most] = std::ranges::minmax(load);
      EXPECT_GT(least, 0.4 * mean);
      EXPECT_LT(most, 2.0 * mean);
      // Chance gives K^2 / E.
      EXPECT_LT(shared, 1.5 * k * k / experts);
    }
  }
}

// The same token routes alike wherever it stands, so that what is learned of it holds.
TEST_F(SynthModelTest, TheTokenDecidesMoreThanItsPlace) {
  const ModelConfig config = config_of(Family::olmoe, {.layers = 6, .hidden = 64, .vocab = 512});
  std::vector<std::int32_t> tokens = different_tokens(100, config.vocab);
  const auto again = tokens;
  tokens.insert(tokens.end(), again.begin(), again.end());
  const Behaviour b = run(config, tokens);
  for (const auto& [layer, chosen] : b.chosen) {
    double shared = 0;
    for (std::size_t i = 0; i < again.size(); ++i) {
      std::vector<int> both;
      std::ranges::set_intersection(chosen[i], chosen[i + again.size()], std::back_inserter(both));
      shared += static_cast<double>(both.size());
    }
    EXPECT_GT(shared / 400, 0.7) << "layer " << layer;  // of K = 4; chance is 0.25
  }
}

TEST_F(SynthModelTest, LogitsAreOfTheOrderOfOne) {
  for (const FamilyTraits* family : families()) {
    const ModelConfig config = config_of(family->family);
    const Behaviour b = run(config, different_tokens(60, config.vocab));
    double squares = 0;
    for (const float v : b.logits) squares += v * v;
    const double size = std::sqrt(squares / static_cast<double>(b.logits.size()));
    EXPECT_GT(size, 0.5) << family->model_type;
    EXPECT_LT(size, 2.0) << family->model_type;
  }
}

// A text that ends in a circle of two tokens would need the same few experts for ever.
TEST_F(SynthModelTest, GreedyTextsDoNotGoInSmallCircles) {
  constexpr int kLength = 64;
  for (const FamilyTraits* family : families()) {
    const std::string path = directory_ / std::string(family->model_type);
    write_synthetic_model(fs_, path, config_of(family->family, {.hidden = 64, .vocab = 2048}),
                          {.threads = 2});
    runtime::Engine engine(runtime::Model::open(fs_, path), {.threads = 1});
    runtime::Session session = engine.new_session(kLength + 1);
    std::int32_t token = 100;
    std::set<std::int32_t> last;
    for (int i = 0; i < kLength; ++i) {
      const runtime::StepInput input{.session = &session, .tokens = std::span(&token, 1)};
      const std::vector<float> logits = engine.step(std::span(&input, 1)).front();
      token = static_cast<std::int32_t>(std::ranges::max_element(logits) - logits.begin());
      if (i >= kLength / 2) last.insert(token);
    }
    EXPECT_GE(last.size(), 8U) << family->model_type;
  }
}

}  // namespace
}  // namespace switchyard::cli
