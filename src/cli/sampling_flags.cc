#include "cli/sampling_flags.h"

namespace switchyard::cli {

void add_sampling_flags(CLI::App& app, SamplingOptions& o) {
  app.add_option("--temp", o.temperature, "temperature, 0: always the best token")
      ->capture_default_str();
  app.add_option("--top-k", o.top_k, "keep the k most probable tokens, 0: all")
      ->capture_default_str();
  app.add_option("--top-p", o.top_p, "keep the smallest set with this probability, 1: all")
      ->capture_default_str();
  app.add_option("--min-p", o.min_p, "drop tokens below this share of the best one's probability")
      ->capture_default_str();
  app.add_option("--repeat-penalty", o.repeat_penalty, "makes recent tokens less likely, 1: off")
      ->capture_default_str();
  app.add_option("--repeat-last-n", o.repeat_window, "how many tokens count as recent")
      ->capture_default_str();
  app.add_option("-s,--seed", o.seed, "random seed: the same seed gives the same text")
      ->capture_default_str();
}

}  // namespace switchyard::cli
