#include "train/text_source.h"

#include "formats/data/source.h"
#include "formats/data/tables.h"
#include "formats/data/text.h"

namespace switchyard::train {
namespace {

bool is_jsonl(const std::string& path) {
  return path.ends_with(".jsonl") || path.find(".jsonl.") != std::string::npos;
}

}  // namespace

std::vector<std::string> read_documents(FileSystem& fs, const std::vector<std::string>& paths,
                                        const DataRecipe& recipe) {
  std::vector<std::string> documents;
  for (const std::string& name : paths) {
    const std::string path = data::find_data(fs, name);
    if (is_jsonl(path)) {
      for (std::string& text : data::read_jsonl(fs, path, recipe.text_field))
        documents.push_back(std::move(text));
      continue;
    }
    std::string text = data::read_text(fs, path);
    if (recipe.separator.empty()) {
      if (!text.empty()) documents.push_back(std::move(text));
      continue;
    }
    for (const std::string_view document : data::split_documents(text, recipe.separator)) {
      documents.emplace_back(document);
    }
  }
  return documents;
}

}  // namespace switchyard::train
