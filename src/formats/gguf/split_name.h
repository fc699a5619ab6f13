// Names of the files of a split model: "<stem>-00001-of-00003.gguf".
#pragma once

#include <optional>
#include <string>

namespace switchyard {

struct GgufSplitName {
  std::string stem;  // with the directory
  int number = 1;    // from 1
  int count = 1;

  std::string path() const;
};

// nullopt for a name of another form, and for one whose number is not from 1 to its count.
std::optional<GgufSplitName> parse_gguf_split_name(const std::string& path);

}  // namespace switchyard
