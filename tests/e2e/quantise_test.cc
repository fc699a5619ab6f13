// From a text to a well quantised model: importance, convert --importance, eval --reference.
#include <algorithm>
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "switchyard/gguf.h"
#include "switchyard/safetensors.h"
#include "switchyard/tokenizer.h"

#include "e2e/command_line.h"
#include "formats/npy.h"
#include "support/temporary_directory.h"
#include "support/tiny_model.h"
#include "support/tiny_text_model.h"

namespace switchyard::e2e {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class Quantise : public ::testing::Test {
 protected:
  void SetUp() override {
    testing_support::write_tiny_text_model(real_file_system(), model_,
                                           testing_support::tiny_mixtral());
    enlarge_some_columns();
    std::string text;
    for (int i = 0; i < 40; ++i) {
      text += "Once upon a time there was router number " + std::to_string(i * i) +
              ".\nThe experts lived on a disk.\n";
    }
    write_file_atomically(real_file_system(), text_, text);
  }

  // As in trained models, a few columns of the residual stream matter more than the others.
  void enlarge_some_columns() {
    const SafetensorsReader tensors(real_file_system(), model_);
    SafetensorsWriter writer;
    for (const auto& [name, tensor] : tensors.tensors()) {
      std::vector<float> values = tensors.read_f32(name);
      if (name.ends_with("norm.weight")) {
        for (std::size_t i = 0; i < values.size(); ++i) values[i] *= i % 8 == 0 ? 2.8F : 0.23F;
      }
      const auto bytes = std::as_bytes(std::span(values));
      writer.add(name, DType::f32, tensor.shape, {bytes.begin(), bytes.end()});
    }
    writer.commit(real_file_system(), model_ + "/model.safetensors");
  }

  Outcome measure_importance(const std::string& out, const cli::Arguments& more = {}) {
    cli::Arguments arguments = {"importance", model_, "--text", text_, "-o", out};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments);
  }

  nlohmann::json evaluate(const std::string& model, const cli::Arguments& more = {}) {
    cli::Arguments arguments = {"eval", model, "--data", text_, "-o", "json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return nlohmann::json::parse(outcome.out);
  }

  NpyArray logits(const std::string& model) {
    const std::string out = directory_ / "logits.npy";
    const Outcome outcome = run({"logits", model, "--text", text_ + ".short", "-o", out});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return read_npy(real_file_system(), out);
  }

  testing_support::TemporaryDirectory directory_;
  std::string model_ = directory_ / "model";
  std::string text_ = directory_ / "text.txt";
};

TEST_F(Quantise, FromTextToAModelThatIsCloserToTheOriginal) {
  const std::string importance = directory_ / "importance.gguf";
  const Outcome measured = measure_importance(importance);
  ASSERT_EQ(measured.code, 0) << measured.err;
  EXPECT_THAT(measured.out, AllOf(HasSubstr("importance.gguf"), HasSubstr("perplexity")));
  const GgufReader file(real_file_system(), importance);
  EXPECT_EQ(file.metadata().text("general.type"), "imatrix");
  ASSERT_NE(file.find("blk.1.ffn_up_exps.weight.in_sum2"), nullptr);
  EXPECT_EQ(file.find("blk.1.ffn_up_exps.weight.in_sum2")->dims,
            (std::vector<std::uint64_t>{32, 8}));

  const std::string plain = directory_ / "plain.gguf";
  const std::string weighted = directory_ / "weighted.gguf";
  ASSERT_EQ(run({"convert", model_, plain, "--to", "q4_0"}).code, 0);
  const Outcome converted =
      run({"convert", model_, weighted, "--to", "q4_0", "--importance", importance});
  ASSERT_EQ(converted.code, 0) << converted.err;
  const GgufReader gguf(real_file_system(), weighted);
  EXPECT_EQ(gguf.metadata().text("quantize.imatrix.file"), "importance.gguf");
  EXPECT_EQ(gguf.metadata().text("quantize.imatrix.dataset"), "text.txt");

  const nlohmann::json before = evaluate(plain, {"--reference", model_});
  const nlohmann::json after = evaluate(weighted, {"--reference", model_});
  EXPECT_GT(before["kl"].get<double>(), 0);
  EXPECT_LT(after["kl"].get<double>(), 0.95 * before["kl"].get<double>());
  EXPECT_EQ(after["reference_perplexity"], evaluate(model_)["perplexity"]);
}

TEST_F(Quantise, ImportanceIsTheSameForEveryBudgetAndThreadCount) {
  ASSERT_EQ(measure_importance(directory_ / "a.gguf").code, 0);
  ASSERT_EQ(measure_importance(directory_ / "b.gguf", {"--mem-budget", "25%", "-t", "3"}).code, 0);
  EXPECT_EQ(read_file(real_file_system(), directory_ / "a.gguf"),
            read_file(real_file_system(), directory_ / "b.gguf"));
}

TEST_F(Quantise, ExpertsWithoutEnoughTokensAreSaid) {
  const Outcome measured =
      measure_importance(directory_ / "i.gguf", {"--max-tokens", "3", "--window", "2"});
  ASSERT_EQ(measured.code, 0) << measured.err;
  EXPECT_THAT(measured.err, AllOf(HasSubstr("of 16 experts saw no token"),
                                  HasSubstr("of 16 experts saw fewer than 32 tokens")));
  const Outcome converted = run({"convert", model_, directory_ / "q.gguf", "--to", "q8_0",
                                 "--importance", directory_ / "i.gguf"});
  ASSERT_EQ(converted.code, 0) << converted.err;
  EXPECT_THAT(converted.err, HasSubstr("saw no token"));
}

TEST_F(Quantise, BadImportanceIsOneLine) {
  const std::string importance = directory_ / "importance.gguf";
  ASSERT_EQ(measure_importance(importance).code, 0);
  ModelConfig narrow = testing_support::tiny_mixtral();
  narrow.moe->expert.hidden = 32;
  const std::string narrow_model = directory_ / "narrow";
  testing_support::write_tiny_text_model(real_file_system(), narrow_model, narrow);
  const std::string out = directory_ / "out.gguf";
  const std::vector<std::pair<cli::Arguments, std::string>> cases = {
      {{"convert", model_, out, "--importance", directory_ / "none.gguf"}, "none.gguf"},
      {{"convert", model_, out, "--importance", text_}, "number of entries"},
      {{"convert", narrow_model, out, "--to", "q4_0", "--importance", importance}, "ffn_down_exps"},
      {{"convert", model_, directory_ / "dir", "--importance", importance}, "--importance"},
      {{"importance", model_, "--text", directory_ / "none.txt", "-o", out}, "none.txt"},
      {{"eval", model_, "--data", text_, "--reference", directory_ / "none"}, "none"},
      {{"eval", model_, "--data", text_, "-o", "yaml"}, "yaml"},
      {{"eval", model_, "--data", text_, "--window", "1"}, "--window"},
  };
  for (const auto& [arguments, expected] : cases) {
    const Outcome o = run(arguments);
    EXPECT_EQ(o.code, 1) << expected;
    EXPECT_THAT(o.err, AllOf(StartsWith("switchyard: error: "), HasSubstr(expected)));
    EXPECT_EQ(std::ranges::count(o.err, '\n'), 1) << o.err;
  }
  EXPECT_FALSE(real_file_system().exists(out));
}

TEST_F(Quantise, ReferenceMustHaveTheSameTokens) {
  const std::string other = directory_ / "other";
  testing_support::write_tiny_model(real_file_system(), other, testing_support::tiny_mixtral());
  const auto refused = [&] {
    const Outcome o = run({"eval", model_, "--data", text_, "--reference", other});
    EXPECT_EQ(o.code, 1);
    return o.err;
  };
  // It has no tokenizer, so its vocabulary decides.
  EXPECT_THAT(refused(), AllOf(HasSubstr("the reference has 96 tokens"), HasSubstr("--reference")));
  const std::vector<std::string> documents = {"Other words make other tokens, other and other."};
  train_byte_level_bpe(documents, {.vocab = 300, .progress = {}})
      .save(real_file_system(), other + "/tokenizer.json");
  EXPECT_THAT(refused(), HasSubstr("the tokenizer of the reference gives other tokens"));
}

// Everything that eval says of two models follows from their logits.
TEST_F(Quantise, EvalAgreesWithTheLogitsOfBothModels) {
  const std::string text = read_file(real_file_system(), text_).substr(0, 180);
  write_file_atomically(real_file_system(), text_ + ".short", text);
  const std::string quantised = directory_ / "q4_0.gguf";
  ASSERT_EQ(run({"convert", model_, quantised, "--to", "q4_0"}).code, 0);
  const auto tokens = Tokenizer::load(real_file_system(), model_).encode(text);
  ASSERT_LT(tokens.size(), 128U);
  const NpyArray p = logits(model_);
  const NpyArray q = logits(quantised);
  const auto vocab = static_cast<std::size_t>(p.shape[1]);
  const auto log_softmax = [&](const NpyArray& array, std::size_t t) {
    std::vector<double> out(array.values.begin() + static_cast<std::ptrdiff_t>(t * vocab),
                            array.values.begin() + static_cast<std::ptrdiff_t>((t + 1) * vocab));
    double sum = 0;
    for (const double v : out) sum += std::exp(v);
    for (double& v : out) v -= std::log(sum);
    return out;
  };
  std::vector<double> kls;
  double difference = 0;
  int same = 0;
  for (std::size_t t = 0; t + 1 < tokens.size(); ++t) {
    const auto log_p = log_softmax(p, t);
    const auto log_q = log_softmax(q, t);
    double kl = 0;
    for (std::size_t v = 0; v < vocab; ++v) kl += std::exp(log_p[v]) * (log_p[v] - log_q[v]);
    kls.push_back(kl);
    const auto target = static_cast<std::size_t>(tokens[t + 1]);
    difference += log_p[target] - log_q[target];
    same += std::ranges::max_element(log_p) - log_p.begin() ==
                    std::ranges::max_element(log_q) - log_q.begin()
                ? 1
                : 0;
  }
  const auto n = static_cast<double>(kls.size());
  const cli::Arguments arguments = {"eval",        quantised, "--data", text_ + ".short",
                                    "--reference", model_,    "-o",     "json"};
  const nlohmann::json result = nlohmann::json::parse(run(arguments).out);
  EXPECT_EQ(result["tokens"], kls.size());
  double mean = 0;
  for (const double kl : kls) mean += kl / n;
  EXPECT_NEAR(result["kl"].get<double>(), mean, 1e-9);
  EXPECT_NEAR(result["kl_max"].get<double>(), *std::ranges::max_element(kls), 1e-6);
  EXPECT_NEAR(result["log_perplexity_ratio"].get<double>(), difference / n, 1e-6);
  EXPECT_NEAR(result["same_top"].get<double>(), same / n, 1e-12);
  EXPECT_NEAR(result["perplexity"].get<double>() - result["reference_perplexity"].get<double>(),
              result["perplexity_difference"].get<double>(), 1e-6);
}

TEST_F(Quantise, AModelIsNoDistanceFromItselfAndEveryFormatSaysSo) {
  const nlohmann::json json = evaluate(model_, {"--reference", model_});
  EXPECT_EQ(json["kl"], 0.0);
  EXPECT_EQ(json["kl_max"], 0.0);
  EXPECT_EQ(json["same_top"], 1.0);
  EXPECT_EQ(json["perplexity_difference"], 0.0);
  const auto print = [&](const std::string& format) {
    return run({"eval", model_, "--data", text_, "--reference", model_, "-o", format}).out;
  };
  EXPECT_THAT(print("text"), AllOf(HasSubstr("KL divergence, mean, nats"), HasSubstr("± ")));
  EXPECT_THAT(print("md"), HasSubstr("| same likeliest token"));
  const std::string csv = print("csv");
  EXPECT_THAT(csv, StartsWith("tokens,nll,nll_error,perplexity"));
  EXPECT_EQ(std::ranges::count(csv, '\n'), 2);
}

}  // namespace
}  // namespace switchyard::e2e
