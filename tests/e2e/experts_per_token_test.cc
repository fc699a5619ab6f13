// How many experts work on a token, chosen on the command line: --experts-per-token and
// --flops-per-token of every command that runs a model.
#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "cli/child_process.h"
#include "e2e/command_line.h"
#include "support/temporary_directory.h"
#include "support/tiny_model.h"
#include "support/tiny_text_model.h"

namespace switchyard::e2e {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// One MoE layer's router and one expert of tiny_mixtral: 2 D E and 6 D F operations.
constexpr int kRouter = 2 * 32 * 8, kExpert = 6 * 32 * 24, kLayers = 2;

class ExpertsPerToken : public ::testing::Test {
 protected:
  void SetUp() override {
    two_ = write("two", testing_support::tiny_mixtral());
    write_file_atomically(real_file_system(), text_, "Once upon a time there was a router.\n");
  }

  std::string write(const std::string& name, const ModelConfig& config) {
    const std::string path = directory_ / name;
    testing_support::write_tiny_text_model(real_file_system(), path, config);
    return path;
  }

  // The same weights with another K in the model's file.
  std::string with_k(int k) {
    ModelConfig config = testing_support::tiny_mixtral();
    config.moe->router.experts_per_token = k;
    return write("k" + std::to_string(k), config);
  }

  static cli::Arguments with(cli::Arguments arguments, const cli::Arguments& more) {
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  // What a command says on standard output, of this model and with these flags.
  std::string run_text(const std::string& model, const cli::Arguments& flags = {}) {
    const Outcome o = run(
        with({"run", model, "-p", "Once upon", "-n", "30", "--temp", "0", "--ignore-eos"}, flags));
    EXPECT_EQ(o.code, 0) << o.err;
    return o.out;
  }
  std::string eval(const std::string& model, const cli::Arguments& flags = {}) {
    const Outcome o = run(with({"eval", model, "--data", text_, "--json"}, flags));
    EXPECT_EQ(o.code, 0) << o.err;
    return nlohmann::json::parse(o.out)["nll"].dump();
  }
  std::string logits(const std::string& model, const cli::Arguments& flags = {}) {
    const std::string out = directory_ / "logits.npy";
    const Outcome o = run(with({"logits", model, "--text", text_, "-o", out}, flags));
    EXPECT_EQ(o.code, 0) << o.err;
    return read_file(real_file_system(), out);
  }

  testing_support::TemporaryDirectory directory_;
  std::string two_, text_ = directory_ / "text.txt";
};

TEST_F(ExpertsPerToken, AFlagIsTheSameAsTheModelsOwnNumber) {
  for (const int k : {1, 5}) {
    const std::string own = with_k(k);
    const std::string flops = std::to_string(kLayers * (kRouter + k * kExpert));
    for (const cli::Arguments& flags :
         {cli::Arguments{"--experts-per-token", std::to_string(k)},
          cli::Arguments{"--experts-per-token", std::to_string(k) + "," + std::to_string(k)},
          cli::Arguments{"--flops-per-token", flops},
          cli::Arguments{"--experts-per-token", std::to_string(k), "--mem-budget", "25%"}}) {
      EXPECT_EQ(run_text(two_, flags), run_text(own)) << flags[0] << " " << flags[1];
      EXPECT_EQ(eval(two_, flags), eval(own)) << flags[0] << " " << flags[1];
      EXPECT_EQ(logits(two_, flags), logits(own)) << flags[0] << " " << flags[1];
    }
    EXPECT_NE(logits(two_), logits(own));
  }
}

TEST_F(ExpertsPerToken, AListHoldsLayerByLayerAndTheRoutesShowIt) {
  const std::string routes = directory_ / "routes.json";
  const Outcome o = run({"logits", two_, "--tokens", "1,2,3", "-o", directory_ / "l.npy",
                         "--routes", routes, "--experts-per-token", "1,4"});
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_THAT(o.err, HasSubstr("1,4 experts a token instead of 2"));
  const auto layers = nlohmann::json::parse(read_file(real_file_system(), routes))["layers"];
  for (int token = 0; token < 3; ++token) {
    EXPECT_EQ(layers[0]["experts"][token].size(), 1U);
    EXPECT_EQ(layers[1]["experts"][token].size(), 4U);
  }
}

TEST_F(ExpertsPerToken, FewerThanInTrainingIsAWarning) {
  ModelConfig config = testing_support::tiny_mixtral();
  config.moe->router.experts_per_token = 8;
  config.moe->fewest_experts_in_training = 4;
  const std::string grown = write("grown", config);
  const auto err = [&](const std::string& k) {
    const Outcome o = run({"run", grown, "-p", "a", "-n", "1", "--experts-per-token", k});
    EXPECT_EQ(o.code, 0) << o.err;
    return o.err;
  };
  EXPECT_THAT(err("3"), HasSubstr("warning: training used 4 experts a token or more"));
  EXPECT_THAT(err("8,3"), HasSubstr("warning"));
  EXPECT_THAT(err("4"), Not(HasSubstr("warning")));
}

TEST_F(ExpertsPerToken, ABudgetOfFlopsTakesTheLargestNumberThatFits) {
  const auto chosen = [&](int flops) {
    const Outcome o =
        run({"run", two_, "-p", "a", "-n", "1", "--flops-per-token", std::to_string(flops)});
    EXPECT_EQ(o.code, 0) << o.err;
    return o.err.substr(0, o.err.find(" experts"));
  };
  const int three = kLayers * (kRouter + 3 * kExpert);
  EXPECT_EQ(chosen(three), "switchyard: 3");
  EXPECT_EQ(chosen(three - 1), "switchyard: 2");
  EXPECT_EQ(chosen(2'000'000'000), "switchyard: 8");
}

TEST_F(ExpertsPerToken, TheBenchMeasuresWithIt) {
  const auto bench = [&](const std::string& model, const cli::Arguments& flags) {
    const cli::ChildResult o = cli::run_program(
        SWITCHYARD_BINARY,
        with({"bench", model, "-p", "0", "-n", "12", "-r", "1", "-t", "1", "-o", "json"}, flags),
        {});
    EXPECT_EQ(o.exit_code, 0) << o.err;
    return nlohmann::json::parse(o.out)[0]["token_hash"].get<std::string>();
  };
  const std::string expected = bench(with_k(5), {});
  EXPECT_EQ(bench(two_, {"--experts-per-token", "5"}), expected);
  EXPECT_EQ(bench(two_, {"--flops-per-token", std::to_string(kLayers * (kRouter + 5 * kExpert))}),
            expected);
  EXPECT_NE(bench(two_, {}), expected);
}

TEST_F(ExpertsPerToken, TopPTakesItAsALimit) {
  ModelConfig config = testing_support::tiny_mixtral();
  config.family = Family::switchyard;
  config.moe->router = routing::default_config(routing::Kind::top_p);
  config.moe->router.experts = config.moe->router.experts_per_token = 8;
  config.moe->router.threshold = 0.9F;
  const std::string free = write("top_p", config);
  config.moe->router.experts_per_token = 2;
  const std::string limited = write("top_p_2", config);
  EXPECT_EQ(logits(free, {"--experts-per-token", "2"}), logits(limited));
  EXPECT_NE(logits(free), logits(limited));
}

TEST_F(ExpertsPerToken, InspectSaysTheMostWhereTheNumberVaries) {
  ModelConfig config = testing_support::tiny_mixtral();
  config.family = Family::switchyard;
  const auto said = [&](const std::string& name) {
    return run({"inspect", write(name, config), "--text", text_}).out;
  };
  config.moe->router.null_experts = 8;
  config.moe->router.experts_per_token = 10;
  EXPECT_THAT(said("nulls"),
              HasSubstr("at most 8 of 8 per token (top_k), hidden width 24; 10 choices among these "
                        "and 8 null experts"));
  config.moe->router = routing::default_config(routing::Kind::top_p);
  config.moe->router.experts = config.moe->router.experts_per_token = 8;
  EXPECT_THAT(said("top_p"),
              HasSubstr("at most 5 of 8 per token (top_p)"));  // ceil(0.4 * 8), one for rounding
}

// Bytes of weights used are those of the experts that were chosen, not of the most there could be.
TEST_F(ExpertsPerToken, TheBenchCountsTheExpertsThatWereChosen) {
  ModelConfig config = testing_support::tiny_mixtral();
  const auto bytes = [&](const std::string& name) {
    const cli::ChildResult o = cli::run_program(
        SWITCHYARD_BINARY,
        {"bench", "--worker", write(name, config), "--n-gen", "12", "--repetitions", "1"}, {});
    EXPECT_EQ(o.exit_code, 0) << o.err;
    return nlohmann::json::parse(o.out)["weight_bytes"].get<double>() / 12;  // of 12 tokens
  };
  const double expert = 3.0 * 32 * 24 * 4;  // gate, up and down in fp32
  config.moe->router.experts_per_token = 1;
  const double one = bytes("one");
  config.moe->router.experts_per_token = 4;
  EXPECT_DOUBLE_EQ(bytes("four"), one + 2 * 3 * expert);
  config.family = Family::switchyard;
  config.moe->router.null_experts = 8;
  const double router_rows = 2 * 8 * 32 * 4;
  const double experts = (bytes("nulls") - one - router_rows) / expert + 2;
  EXPECT_GT(experts, 0.5);  // of both layers together
  EXPECT_LT(experts, 7.0);
}

TEST_F(ExpertsPerToken, BadValuesAreOneClearLine) {
  ModelConfig hash = testing_support::tiny_mixtral();
  hash.family = Family::switchyard;
  hash.moe->router.kind = routing::Kind::hash;
  const std::string hashed = write("hash", hash);
  const std::string dense = write("dense", testing_support::tiny_llama());
  struct BadCase {
    cli::Arguments flags;
    int code;
    std::string expected;
    std::string model = {};
  };
  const std::vector<BadCase> cases = {
      {{"--experts-per-token", "0"}, 2, "--experts-per-token"},
      {{"--experts-per-token", "-3"}, 2, "--experts-per-token"},
      {{"--experts-per-token", "two"}, 2, "--experts-per-token"},
      {{"--experts-per-token", "2.5"}, 2, "--experts-per-token"},
      {{"--experts-per-token", "9"}, 1, "1 to 8"},
      {{"--experts-per-token", "1,2,3"}, 1, "one for each of the 2 layers"},
      {{"--experts-per-token", "2,9"}, 1, "1 to 8"},
      {{"--flops-per-token", "0"}, 2, "--flops-per-token"},
      {{"--flops-per-token", "many"}, 2, "--flops-per-token"},
      {{"--flops-per-token", "100"},
       1,
       "at least " + std::to_string(kLayers * (kRouter + kExpert))},
      {{"--flops-per-token", "1e6", "--experts-per-token", "2"}, 2, "excludes"},
      {{"--experts-per-token", "2"}, 1, "'hash' does not take", hashed},
      {{"--experts-per-token", "2"}, 1, "no experts", dense},
      {{"--flops-per-token", "1e9"}, 1, "no experts", dense},
  };
  for (const BadCase& c : cases) {
    const std::string& model = c.model.empty() ? two_ : c.model;
    for (const cli::Arguments& command :
         {cli::Arguments{"run", model, "-p", "a", "-n", "1"},
          cli::Arguments{"eval", model, "--data", text_},
          cli::Arguments{"bench", model, "-p", "2", "-n", "2"},
          cli::Arguments{"logits", model, "--tokens", "1", "-o", directory_ / "bad.npy"}}) {
      const Outcome o = run(with(command, c.flags));
      EXPECT_EQ(o.code, c.code) << command[0] << " " << c.flags[1] << ": " << o.err;
      EXPECT_THAT(o.err, StartsWith("switchyard: error: ")) << command[0];
      EXPECT_THAT(o.err, HasSubstr(c.expected)) << command[0] << " " << c.flags[1];
      EXPECT_EQ(std::ranges::count(o.err, '\n'), 1) << o.err;
    }
  }
  EXPECT_FALSE(real_file_system().exists(directory_ / "bad.npy"));
}

}  // namespace
}  // namespace switchyard::e2e
