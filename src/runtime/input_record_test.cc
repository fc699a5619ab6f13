// What StepOptions::on_input reports: every matrix that can be quantised, with the rows that it was
// multiplied with, whatever the budget and the threads.
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <string>
#include <vector>

#include "switchyard/model_files.h"
#include "switchyard/runtime.h"

#include "formats/gguf/column_importance.h"
#include "formats/gguf/importance_collector.h"
#include "support/temporary_directory.h"
#include "support/tiny_model.h"

namespace switchyard::runtime {
namespace {

using testing::IsEmpty;
using testing_support::write_tiny_model;

std::vector<std::int32_t> some_tokens(int vocab, std::size_t count) {
  std::vector<std::int32_t> tokens(count);
  for (std::size_t i = 0; i < count; ++i) {
    tokens[i] = static_cast<std::int32_t>((i * 37 + i * i * 11) % static_cast<std::size_t>(vocab));
  }
  return tokens;
}

class InputRecords : public ::testing::Test {
 protected:
  std::string write(const ModelConfig& config) {
    const std::string path = directory_.path() + "/model" + std::to_string(count_++);
    write_tiny_model(fs_, path, config, 7);
    return path;
  }

  // The logits of a step, and all rows of x by weight.
  std::vector<float> step(const std::string& path, std::span<const std::int32_t> tokens,
                          std::map<std::string, std::vector<float>>* rows,
                          const ModelOptions& options = {}, int threads = 1) {
    Engine engine(Model::open(fs_, path, options), {.threads = threads});
    Session session = engine.new_session();
    StepOptions step_options;
    if (rows != nullptr) {
      step_options.on_input = [&](const InputRecord& r) {
        std::vector<float>& all = (*rows)[r.weight];
        for (std::size_t i = 0; i < r.rows; ++i) {
          all.insert(all.end(), r.x + i * r.stride, r.x + i * r.stride + r.columns);
        }
      };
    }
    const StepInput input{.session = &session, .tokens = tokens, .all_logits = true};
    return engine.step(std::span(&input, 1), step_options).front();
  }

  // Rows of x times the matrix, the plain way.
  std::vector<float> product(const std::string& path, const std::string& weight,
                             const std::vector<float>& x) {
    const WeightFiles weights = open_weights(fs_, path, read_model_config(fs_, path));
    const TensorInfo& info = weights.find(weight);
    const std::vector<float> w = weights.read_f32(weight);
    const auto out = static_cast<std::size_t>(info.shape[0]);
    const auto in = static_cast<std::size_t>(info.shape[1]);
    std::vector<float> y(x.size() / in * out);
    for (std::size_t i = 0; i < y.size(); ++i) {
      double sum = 0;
      for (std::size_t j = 0; j < in; ++j) {
        sum += static_cast<double>(w[i % out * in + j]) * x[i / out * in + j];
      }
      y[i] = static_cast<float>(sum);
    }
    return y;
  }

  testing_support::TemporaryDirectory directory_;
  FileSystem& fs_ = real_file_system();
  int count_ = 0;
};

std::vector<ModelConfig> families() {
  using namespace testing_support;
  return {tiny_llama(),     tiny_qwen2(),      tiny_mixtral(),     tiny_olmoe(),
          tiny_qwen2_moe(), tiny_qwen3_moe(),  tiny_deepseek_v2(), tiny_deepseek_v3(),
          tiny_gpt_oss(),   tiny_switchyard(), tiny_duo(),         tiny_recurrent(),
          tiny_latent()};
}

TEST_F(InputRecords, ReportEveryMatrixOfEveryFamilyAndChangeNothing) {
  for (const ModelConfig& config : families()) {
    const std::string path = write(config);
    const auto tokens = some_tokens(config.vocab, 100);
    std::map<std::string, std::vector<float>> rows;
    EXPECT_EQ(step(path, tokens, &rows), step(path, tokens, nullptr));
    ImportanceCollector collector;
    const WeightFiles weights = open_weights(fs_, path, config);
    for (const auto& [weight, x] : rows) {
      const auto in = static_cast<std::size_t>(weights.find(weight).shape[1]);
      collector.add(weight, x.data(), x.size() / in, in, in);
    }
    const ColumnImportance importance(collector.data(config), config);
    EXPECT_THAT(importance.coverage().missing, IsEmpty()) << family_name(config.family);
    // Dense matrices saw every token, a layer's experts K for each (fewer where K is a limit).
    const WeightNames names(config.family);
    EXPECT_EQ(rows.at(names.layer(0, "o")).size(),
              tokens.size() * static_cast<std::size_t>(config.mixed_width()));
  }
}

TEST_F(InputRecords, AreTheSameForEveryBudgetBatchAndThreadCount) {
  const std::string path = write(testing_support::tiny_qwen2_moe());
  const auto tokens = some_tokens(96, 60);
  std::map<std::string, std::vector<float>> expected;
  step(path, tokens, &expected);
  for (const int threads : {1, 3}) {
    for (const int batch : {7, 512}) {
      for (const double share : {0.3, 1.0}) {
        std::map<std::string, std::vector<float>> rows;
        step(path, tokens, &rows, {.expert_share = share, .max_batch_tokens = batch}, threads);
        EXPECT_TRUE(rows == expected) << threads << " " << batch << " " << share;
      }
    }
  }
}

// Each matrix's rows lead to what the next one is given.
TEST_F(InputRecords, AreWhatTheMatricesAreMultipliedWith) {
  const ModelConfig config = testing_support::tiny_mixtral();
  const std::string path = write(config);
  const WeightNames names(config.family);
  const auto tokens = some_tokens(config.vocab, 40);
  std::map<std::string, std::vector<float>> rows;
  const std::vector<float> logits = step(path, tokens, &rows);
  const auto near = [&](const std::vector<float>& actual, const std::vector<float>& expected,
                        const std::string& what) {
    ASSERT_EQ(actual.size(), expected.size()) << what;
    for (std::size_t i = 0; i < actual.size(); ++i) {
      ASSERT_NEAR(actual[i], expected[i], 1e-4) << what << " " << i;
    }
  };
  near(product(path, names.output(), rows.at(names.output())), logits, "output");
  EXPECT_EQ(rows.at(names.layer(0, "q")), rows.at(names.layer(0, "v")));
  std::size_t visited = 0;
  for (int e = 0; e < config.moe->router.experts; ++e) {
    const auto it = rows.find(names.expert(0, e, "up"));
    if (it == rows.end()) continue;
    visited += it->second.size() / static_cast<std::size_t>(config.width);
    EXPECT_EQ(rows.at(names.expert(0, e, "gate")), it->second);
    std::vector<float> hidden = product(path, names.expert(0, e, "up"), it->second);
    const auto gate = product(path, names.expert(0, e, "gate"), it->second);
    for (std::size_t i = 0; i < hidden.size(); ++i) {
      hidden[i] *= gate[i] / (1 + std::exp(-gate[i]));
    }
    near(rows.at(names.expert(0, e, "down")), hidden, "down of expert " + std::to_string(e));
  }
  EXPECT_EQ(visited, 2 * tokens.size());
}

// The two halves of kv_b are applied to other vectors; it reports the one it is made for.
TEST_F(InputRecords, OfLatentAttentionAreTheNormalisedLatents) {
  const ModelConfig config = testing_support::tiny_deepseek_v2();
  const std::string path = write(config);
  const WeightNames names(config.family);
  std::map<std::string, std::vector<float>> rows;
  step(path, some_tokens(config.vocab, 20), &rows);
  const auto rank = static_cast<std::size_t>(config.mla->kv_rank);
  const auto cached = static_cast<std::size_t>(config.mla->cached_width());
  const auto latent = product(path, names.layer(0, "kv_a"), rows.at(names.layer(0, "kv_a")));
  const auto norm = open_weights(fs_, path, config).read_f32(names.layer(0, "kv_a_norm"));
  const std::vector<float>& x = rows.at(names.layer(0, "kv_b"));
  ASSERT_EQ(x.size(), 20 * rank);
  for (std::size_t t = 0; t < 20; ++t) {
    double square = 0;
    for (std::size_t i = 0; i < rank; ++i) square += std::pow(latent[t * cached + i], 2);
    const double scale = 1 / std::sqrt(square / static_cast<double>(rank) + 1e-6);
    for (std::size_t i = 0; i < rank; ++i) {
      EXPECT_NEAR(x[t * rank + i], latent[t * cached + i] * scale * norm[i], 1e-4);
    }
  }
}

}  // namespace
}  // namespace switchyard::runtime
