// Every command of the binary from the outside: what it prints, what it writes, how it fails.
#include <algorithm>
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "switchyard/tokenizer.h"

#include "e2e/command_line.h"
#include "formats/npy.h"
#include "support/temporary_directory.h"
#include "support/tiny_model.h"
#include "support/tiny_text_model.h"

namespace switchyard::e2e {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class Commands : public ::testing::Test {
 protected:
  void SetUp() override {
    testing_support::write_tiny_text_model(real_file_system(), model_,
                                           testing_support::tiny_mixtral());
    write_file_atomically(real_file_system(), text_,
                          "Once upon a time there was a router.\nThe experts lived on a disk.\n");
  }

  testing_support::TemporaryDirectory directory_;
  std::string model_ = directory_ / "model";
  std::string text_ = directory_ / "text.txt";
};

TEST_F(Commands, OverviewNamesEveryCommandAndEachHasHelpWithAnExample) {
  const Outcome overview = run({"--help"});
  EXPECT_EQ(overview.code, 0);
  for (const cli::Command& command : cli::commands()) {
    EXPECT_THAT(overview.out, HasSubstr(command.name));
    if (command.name == "train" || command.name == "reproduce") continue;  // in the training module
    const Outcome help = run({std::string(command.name), "--help"});
    EXPECT_EQ(help.code, 0) << command.name;
    EXPECT_THAT(help.out, HasSubstr("example:")) << command.name;
  }
}

TEST_F(Commands, WrongUsageIsOneLineAndCodeTwo) {
  for (const cli::Arguments& arguments :
       {cli::Arguments{"walk"}, cli::Arguments{"run"}, cli::Arguments{"run", model_, "--speed"},
        cli::Arguments{"logits", model_, "-o", "x.npy"}}) {
    const Outcome o = run(arguments);
    EXPECT_EQ(o.code, 2) << arguments.front();
    EXPECT_THAT(o.err, StartsWith("switchyard: error: "));
    EXPECT_EQ(std::ranges::count(o.err, '\n'), 1) << o.err;
  }
}

TEST_F(Commands, BadInputIsOneLineAndCodeOne) {
  const std::vector<std::pair<cli::Arguments, std::string>> cases = {
      {{"run", directory_ / "nowhere", "-p", "a"}, "nowhere"},
      {{"run", model_, "-p", "a", "--mem-budget", "12 parsecs"}, "--mem-budget"},
      {{"run", model_, "-p", "a", "--mem-budget", "1MB"}, "at least"},
      {{"run", model_, "-p", "a", "--expert-policy", "magic"}, "lru"},
      {{"run", model_, "-p", "a", "--kernels", "mmx"}, "mmx"},
      {{"run", model_, "-p", "a", "--prefetch", "psychic"}, "--prefetch"},
      {{"run", model_, "-p", "a", "--top-p", "7"}, "--top-p"},
      {{"run", model_, "-p", "\xff\xfe"}, "UTF-8"},
      {{"logits", model_, "--tokens", "1,x", "-o", directory_ / "l.npy"}, "'x'"},
      {{"logits", model_, "--tokens", "1,99999", "-o", directory_ / "l.npy"}, "99999"},
      {{"eval", model_, "--data", directory_ / "missing.txt"}, "missing.txt"},
      {{"convert", model_, model_}, "exists already"},
      {{"convert", model_, directory_ / "new", "--to", "f7"}, "--to"},
  };
  for (const auto& [arguments, expected] : cases) {
    const Outcome o = run(arguments);
    EXPECT_EQ(o.code, 1) << expected;
    EXPECT_THAT(o.err, AllOf(StartsWith("switchyard: error: "), HasSubstr(expected)));
    EXPECT_EQ(std::ranges::count(o.err, '\n'), 1) << o.err;
  }
  EXPECT_FALSE(real_file_system().exists(directory_ / "l.npy"));
  EXPECT_FALSE(real_file_system().exists(directory_ / "new"));
}

TEST_F(Commands, RunGivesTheSameTextUnderEveryBudget) {
  const cli::Arguments base = {"run", model_,   "-p", "Once upon",   "-n",
                               "40",  "--seed", "5",  "--ignore-eos"};
  const Outcome all = run(base);
  ASSERT_EQ(all.code, 0) << all.err;
  EXPECT_THAT(all.out, StartsWith("Once upon"));
  EXPECT_THAT(all.err, HasSubstr("tokens/s"));
  for (const char* budget : {"50%", "25%", "10%", "1GiB"}) {
    cli::Arguments limited = base;
    limited.insert(limited.end(), {"--mem-budget", budget});
    EXPECT_EQ(run(limited).out, all.out) << budget;
  }
}

TEST_F(Commands, EveryMethodSaysTheSameUnderEveryBudgetThreadsAndBatchSize) {
  const auto with = [](routing::Config router) {
    ModelConfig config = testing_support::tiny_mixtral();
    config.family = Family::switchyard;
    router.experts = 8;
    if (routing::method(router.kind).k_is_limit) router.experts_per_token = 8;
    config.moe->router = router;
    return config;
  };
  const std::vector<std::pair<std::string, ModelConfig>> methods = {
      {"top_p", with(routing::default_config(routing::Kind::top_p))},
      {"sigmoid_threshold", with(routing::default_config(routing::Kind::sigmoid_threshold))},
      {"null", with({.experts_per_token = 3, .null_experts = 8})},
      {"frozen", with({.experts_per_token = 5, .softmax_after_selection = true, .frozen = true})},
      {"recurrent", testing_support::tiny_recurrent()}};
  for (const auto& [name, config] : methods) {
    const std::string model = directory_ / name;
    testing_support::write_tiny_text_model(real_file_system(), model, config);
    const auto say = [&](const cli::Arguments& more) {
      cli::Arguments arguments = {"run", model, "-p", "Once upon",   "-n",
                                  "30",  "-s",  "5",  "--ignore-eos"};
      arguments.insert(arguments.end(), more.begin(), more.end());
      const Outcome o = run(arguments);
      EXPECT_EQ(o.code, 0) << name << ": " << o.err;
      return o.out;
    };
    const std::string all = say({});
    for (const cli::Arguments& more :
         {cli::Arguments{"--mem-budget", "100%"}, cli::Arguments{"--mem-budget", "50%"},
          cli::Arguments{"--mem-budget", "25%"},
          cli::Arguments{"--mem-budget", "10%", "--prefetch", "off"},
          cli::Arguments{"--mem-budget", "25%", "-t", "1", "-b", "1"}}) {
      EXPECT_EQ(say(more), all) << name << " " << more[1];
    }
  }
}

TEST_F(Commands, RunReadsThePromptFromAFileOrStandardInput) {
  const std::string from_file = run({"run", model_, "-f", text_, "-n", "5", "--temp", "0"}).out;
  EXPECT_THAT(from_file, StartsWith("Once upon a time"));
  EXPECT_EQ(run({"run", model_, "-f", "-", "-n", "5", "--temp", "0"},
                read_file(real_file_system(), text_))
                .out,
            from_file);
}

TEST_F(Commands, LogitsWritesEveryPositionAndTheRoutes) {
  const std::string out = directory_ / "logits.npy";
  const std::string routes = directory_ / "routes.json";
  const Outcome o = run({"logits", model_, "--tokens", "1,2,3,4", "-o", out, "--routes", routes});
  ASSERT_EQ(o.code, 0) << o.err;
  const NpyArray logits = read_npy(real_file_system(), out);
  ASSERT_EQ(logits.shape.size(), 2U);
  EXPECT_EQ(logits.shape[0], 4);
  const auto json = nlohmann::json::parse(read_file(real_file_system(), routes));
  EXPECT_EQ(json["tokens"], nlohmann::json({1, 2, 3, 4}));
  ASSERT_EQ(json["layers"].size(), 2U);
  for (const auto& layer : json["layers"]) {
    ASSERT_EQ(layer["experts"].size(), 4U);
    for (const auto& weights : layer["weights"]) {
      EXPECT_EQ(weights.size(), 2U);
      EXPECT_NEAR(weights[0].get<double>() + weights[1].get<double>(), 1.0, 1e-6);
    }
  }
}

TEST_F(Commands, EvalAgreesWithTheLogits) {
  const Outcome eval = run({"eval", model_, "--data", text_, "--json"});
  ASSERT_EQ(eval.code, 0) << eval.err;
  const auto result = nlohmann::json::parse(eval.out);

  const Tokenizer tokenizer = Tokenizer::load(real_file_system(), model_);
  const auto tokens = tokenizer.encode(read_file(real_file_system(), text_));
  const std::string out = directory_ / "logits.npy";
  ASSERT_EQ(run({"logits", model_, "--text", text_, "-o", out}).code, 0);
  const NpyArray logits = read_npy(real_file_system(), out);
  const auto vocab = static_cast<std::size_t>(logits.shape[1]);
  double nll = 0;
  for (std::size_t t = 0; t + 1 < tokens.size(); ++t) {
    double sum = 0;
    for (std::size_t v = 0; v < vocab; ++v)
      sum += std::exp(static_cast<double>(logits.values[t * vocab + v]));
    nll += std::log(sum) - logits.values[t * vocab + static_cast<std::size_t>(tokens[t + 1])];
  }
  nll /= static_cast<double>(tokens.size() - 1);
  EXPECT_EQ(result["tokens"], tokens.size() - 1);
  EXPECT_NEAR(result["nll"].get<double>(), nll, 1e-6);
  EXPECT_NEAR(result["perplexity"].get<double>(), std::exp(nll), 1e-4);
}

TEST_F(Commands, EvalWithAShortWindowStillCountsEveryPredictableToken) {
  const auto count = [&](const cli::Arguments& more) {
    cli::Arguments arguments = {"eval", model_, "--data", text_, "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return nlohmann::json::parse(run(arguments).out)["tokens"].get<std::size_t>();
  };
  const std::size_t all = count({});
  EXPECT_EQ(count({"--window", "8", "--stride", "4"}), all);
  // Without overlap, each further window loses its first token.
  const std::size_t windows = (all + 1 + 7) / 8;
  EXPECT_EQ(count({"--window", "8"}), all + 1 - windows);
}

TEST_F(Commands, ConvertedAndPackedModelsSayTheSame) {
  const std::string packed = directory_ / "packed";
  ASSERT_EQ(run({"convert", model_, packed, "--pack"}).code, 0);
  EXPECT_TRUE(real_file_system().exists(packed + "/experts.swpack"));
  const cli::Arguments say = {"-p",     "The experts", "-n",           "20",
                              "--temp", "0",           "--mem-budget", "25%"};
  const auto text = [&](const std::string& model) {
    cli::Arguments arguments = {"run", model};
    arguments.insert(arguments.end(), say.begin(), say.end());
    return run(arguments).out;
  };
  EXPECT_EQ(text(packed), text(model_));

  const std::string half = directory_ / "half";
  const std::string back = directory_ / "back";
  ASSERT_EQ(run({"convert", model_, half, "--to", "bf16"}).code, 0);
  ASSERT_EQ(run({"convert", half, back, "--to", "f32"}).code, 0);
  // bf16 widened is the same number, so both run to the same bits.
  EXPECT_EQ(text(back), text(half));
}

TEST_F(Commands, InspectWritesATableAndAPage) {
  const std::string page = directory_ / "page.html";
  const Outcome o = run({"inspect", model_, "--text", text_, "--html", page});
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_THAT(o.out, HasSubstr("2 of 8 per token (top_k)"));
  const std::string html = read_file(real_file_system(), page);
  EXPECT_THAT(html, StartsWith("<!doctype html>"));
  EXPECT_THAT(html, HasSubstr("<svg"));
  EXPECT_THAT(html, ::testing::Not(HasSubstr("http://www.example")));
  const Outcome json = run({"inspect", model_, "--text", text_, "-o", "json"});
  EXPECT_EQ(nlohmann::json::parse(json.out).size(), 2U);
}

// The directory of a run shows how routing changed while it was trained.
TEST_F(Commands, InspectOfARunShowsItsTraining) {
  FileSystem& fs = real_file_system();
  const std::string run_directory = directory_ / "run";
  testing_support::write_tiny_text_model(fs, run_directory + "/model",
                                         testing_support::tiny_mixtral());
  std::string log = R"({"event":"start","step":0})"
                    "\n";
  for (const auto& [step, experts] : std::vector<std::pair<int, double>>{{1, 7.25}, {10, 3.5}}) {
    log += nlohmann::json{{"event", "step"},
                          {"step", step},
                          {"router", {{"experts_per_token", experts}, {"null_share", 0.125}}}}
               .dump() +
           "\n";
  }
  write_file_atomically(fs, run_directory + "/log.jsonl", log + R"({"event":"st)");  // killed here
  const std::string page = directory_ / "page.html";
  const Outcome o = run({"inspect", run_directory, "-p", "Once upon", "--html", page});
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_THAT(o.out, AllOf(HasSubstr("training step"), HasSubstr("7.25"), HasSubstr("3.50"),
                           HasSubstr("12.5 %"), HasSubstr("active per token of this text")));
  EXPECT_THAT(read_file(fs, page), HasSubstr("Experts per token in training"));
  const Outcome json = run({"inspect", run_directory, "-p", "Once upon", "-o", "json"});
  EXPECT_TRUE(nlohmann::json::parse(json.out).is_array());
}

TEST_F(Commands, InspectCountsNullExpertsAndWhatTokensReallyUse) {
  ModelConfig config = testing_support::tiny_switchyard();
  config.moe->router = {};
  config.moe->router.experts = 4;
  config.moe->router.experts_per_token = 3;
  config.moe->router.null_experts = 4;
  const std::string model = directory_ / "nulls";
  testing_support::write_tiny_text_model(real_file_system(), model, config);
  const std::string page = directory_ / "page.html";
  const Outcome o = run({"inspect", model, "--text", text_, "--html", page});
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_THAT(o.out, HasSubstr("at most 3 of 4 per token (top_k), hidden width"));
  EXPECT_THAT(read_file(real_file_system(), page), HasSubstr("all null experts together"));
  const auto layer =
      nlohmann::json::parse(run({"inspect", model, "--text", text_, "-o", "json"}).out).at(0);
  const double experts = layer.at("experts_per_token");
  EXPECT_NEAR(layer.at("null_share").get<double>(), 1 - experts / 3, 1e-3);
  EXPECT_GT(experts, 0);
  EXPECT_LT(experts, 3);

  config.moe->router = routing::default_config(routing::Kind::top_p);
  config.moe->router.experts = config.moe->router.experts_per_token = 4;
  config.moe->router.threshold = 0.6F;
  const std::string limit = directory_ / "limit";
  testing_support::write_tiny_text_model(real_file_system(), limit, config);
  const Outcome p = run({"inspect", limit, "--text", text_});
  EXPECT_THAT(p.out, AllOf(HasSubstr("at most 4 of 4 per token (top_p)"),
                           HasSubstr("active per token of this text")));
}

TEST_F(Commands, InspectRefusesAnEmptyText) {
  write_file_atomically(real_file_system(), text_, "");
  const Outcome o = run({"inspect", model_, "--text", text_});
  EXPECT_EQ(o.code, 1);
  EXPECT_THAT(o.err, HasSubstr("the text is empty"));
}

TEST_F(Commands, InspectCannotBeFooledByMarkupInAText) {
  const std::string page = directory_ / "page.html";
  ASSERT_EQ(
      run({"inspect", model_, "-p", "</script><script>alert(1)</script>", "--html", page}).code, 0);
  EXPECT_THAT(read_file(real_file_system(), page), ::testing::Not(HasSubstr("<script>alert")));
}

TEST_F(Commands, TokenizerTrainsEncodesAndDecodes) {
  const std::string path = directory_ / "tokenizer.json";
  ASSERT_EQ(run({"tokenizer", "train", "--data", text_, "--vocab", "270", "-o", path}).code, 0);
  const Outcome ids = run({"tokenizer", "encode", path, "-p", "a router disk"});
  ASSERT_EQ(ids.code, 0) << ids.err;
  std::string list = ids.out;
  list.pop_back();
  EXPECT_EQ(run({"tokenizer", "decode", path, "--tokens", list}).out, "a router disk\n");
}

TEST_F(Commands, ChatKeepsTheConversationUntilReset) {
  const cli::Arguments chat = {"chat", model_, "-n", "4", "--temp", "0"};
  const std::string twice = run(chat, "Once\nOnce\n").out;
  const std::string reset = run(chat, "Once\n/reset\nOnce\n").out;
  const std::string once = run(chat, "Once\n/quit\nnever\n").out;
  const std::string answer = once.substr(0, once.rfind("> "));
  EXPECT_THAT(reset, StartsWith(answer + "> " + answer));
  EXPECT_THAT(twice, StartsWith(answer));
  EXPECT_THAT(once, ::testing::Not(HasSubstr("never")));
}

TEST_F(Commands, ChatUsesTheTemplateOfTheModel) {
  const cli::Arguments chat = {"chat", model_, "-n", "4", "--temp", "0"};
  const std::string plain = run(chat, "Once upon\n").out;
  const auto with_template = [&](const std::string& source, const std::string& input,
                                 const cli::Arguments& more = {}) {
    write_file_atomically(real_file_system(), model_ + "/chat_template.jinja", source);
    cli::Arguments arguments = chat;
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments, input);
  };
  const std::string contents = "{% for m in messages %}{{ m.content }}{% endfor %}";
  EXPECT_EQ(with_template(contents, "Once upon\n").out, plain);
  EXPECT_EQ(with_template(contents, " upon\n", {"--system", "Once"}).out, plain);
  EXPECT_EQ(with_template("Once upon{# whatever is said #}", "x\n").out, plain);
  EXPECT_EQ(with_template("never", "Once upon\n", {"--template", "{}"}).out, plain);
  // Each round renders the whole conversation: one that forgets gives the same answer again.
  const std::string last = "{{ messages[-1].content }}";
  const std::string answer = plain.substr(0, plain.rfind("> "));
  EXPECT_EQ(with_template(last, "Once upon\nOnce upon\n").out, answer + plain);

  const Outcome refused = with_template("{{ raise_exception('no') }}", "Once\n");
  EXPECT_THAT(refused.err, HasSubstr("the template refuses the conversation: 'no'"));
  EXPECT_THAT(with_template("{% if %}", "Once\n").err, HasSubstr("chat_template.jinja: line 1"));
}

// --plan needs no weights: what it prints is what opening books.
TEST_F(Commands, PlanSaysWhatAModelTakesAndRunsNothing) {
  for (const char* command : {"run", "chat", "inspect"}) {
    const Outcome o = run({command, model_, "--plan=json", "-c", "64", "-b", "16", "-np", "3"});
    ASSERT_EQ(o.code, 0) << o.err;
    const auto plan = nlohmann::json::parse(o.out);
    EXPECT_EQ(plan["sessions"], 3);
    EXPECT_EQ(plan["session_tokens"], 64);
    EXPECT_EQ(plan["batch_tokens"], 16);
    EXPECT_TRUE(plan["limit"].is_null());
    std::uint64_t total = 0;
    for (const char* part :
         {"process", "dense_weights", "kv_cache", "scratch", "io_buffers", "expert_slots"}) {
      total += plan[part].get<std::uint64_t>();
    }
    EXPECT_EQ(plan["total"], total);
    EXPECT_EQ(plan["expert_slots"], plan["all_experts"]);
    EXPECT_LE(plan["floor"], plan["total"]);
  }
}

TEST_F(Commands, PlanHoldsToTheBudgetOrSaysTheFloor) {
  const Outcome all = run({"run", model_, "--plan=json"});
  const auto floor = nlohmann::json::parse(all.out)["floor"].get<std::uint64_t>();
  const std::string enough = std::to_string(floor + (std::uint64_t{64} << 20));
  const Outcome o = run({"run", model_, "--plan", "--mem-budget", enough});
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_THAT(o.out,
              AllOf(HasSubstr("expert slots"), HasSubstr("total"), HasSubstr("--mem-budget")));
  const Outcome short_of_it = run({"run", model_, "--plan", "--mem-budget", "100KiB"});
  EXPECT_EQ(short_of_it.code, 1);
  EXPECT_THAT(short_of_it.err, HasSubstr("memory budget 100 KiB is too small"));
  EXPECT_EQ(run({"run", model_, "--plan=xml"}).code, 1);
}

TEST_F(Commands, PlanOfAGgufFileIsThatOfItsDirectory) {
  const std::string gguf = directory_ / "model.gguf";
  ASSERT_EQ(run({"convert", model_, gguf}).code, 0);
  const auto of_directory = nlohmann::json::parse(run({"run", model_, "--plan=json"}).out);
  const auto of_file = nlohmann::json::parse(run({"run", gguf, "--plan=json"}).out);
  for (const char* part : {"dense_weights", "kv_cache", "scratch"})
    EXPECT_EQ(of_file[part], of_directory[part]) << part;
}

// A bench's plan has an entry for every way it opens a model, with room for its longest test.
TEST_F(Commands, PlanOfABenchListsWhatItWillOpen) {
  const Outcome o = run({"bench", model_, "-p", "8,16", "-n", "8", "-d", "4", "-t", "1,2",
                         "--budgets", "50%,25%", "--plan=json"});
  ASSERT_EQ(o.code, 0) << o.err;
  const auto plans = nlohmann::json::parse(o.out);
  ASSERT_EQ(plans.size(), 4U);  // two lengths, two budgets
  EXPECT_EQ(plans[0]["session_tokens"], 12);
  EXPECT_EQ(plans[1]["session_tokens"], 20);
  EXPECT_EQ(plans[2]["budget"], "25%");
}

}  // namespace
}  // namespace switchyard::e2e
