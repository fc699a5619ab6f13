// Decoder weights to and from a directory in Hugging Face layout: config.json and model.safetensors
// (sharded files are read too). Names and shapes are those of the config's family, so other
// software can load what it knows.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "switchyard/file_system.h"
#include "switchyard/model_config.h"
#include "switchyard/safetensors.h"

#include "models/decoder.h"

namespace switchyard::models {

// Builds the model and loads its weights in fp32. Throws Error naming file and tensor: missing,
// unexpected, wrong shape.
std::shared_ptr<Decoder> load_model(FileSystem& fs, const std::string& directory);
// Into an existing model, converting to its dtype and device. On error the model may be partly
// overwritten.
void load_weights(FileSystem& fs, const std::string& directory, Decoder& model);

// A weight under its name in a file. The tensor is a view of the model's parameter: an expert is a
// slice of its bank.
struct NamedWeight {
  std::string name;
  torch::Tensor tensor;
};
// Every weight of the model once, in file order. Loading writes through it, saving reads.
std::vector<NamedWeight> list_weights(const Decoder& model, const WeightNames& names);

struct SaveOptions {
  DType dtype = DType::f32;  // f32 or bf16; routers and selection biases stay f32 if the family's
                             // readers accept it
  std::map<std::string, std::string> metadata;  // into the file's header
};
// Writes model.safetensors, then config.json, each atomically, under the names of
// model.config().family.
void save_model(FileSystem& fs, const Decoder& model, const std::string& directory,
                const SaveOptions& options = {});

// The same model described as a member of a known family (mixtral, olmoe, ...). Throws Error naming
// the first thing the family cannot say (a dense layer, another router, query-key norms, ...).
ModelConfig as_family(const ModelConfig& config, Family family);
// The known family that fits, or Family::switchyard.
Family best_family(const ModelConfig& config);
// save_model under as_family's names and config.
void export_model(FileSystem& fs, const Decoder& model, const std::string& directory, Family family,
                  const SaveOptions& options = {});

}  // namespace switchyard::models
