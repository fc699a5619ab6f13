// The fields of config.json that describe attention: RoPE and its scaling, sliding windows, latent
// attention. Read into a ModelConfig and written from one.
#pragma once

#include "formats/family.h"
#include "formats/json.h"

namespace switchyard {

// Knows the old fields (rope_theta, rope_scaling) and the new one (rope_parameters). Needs
// config.context.
void read_rope(const JsonFields& fields, const FamilyTraits& t, ModelConfig& config);
// Both, because older transformers read the first and newer ones the second.
void write_rope(const ModelConfig& config, nlohmann::json& json);

// Needs config.context and config.layers. A window that no sequence outgrows is none.
void read_window(const JsonFields& fields, const nlohmann::json& json, const FamilyTraits& t,
                 ModelConfig& config);
void write_window(const ModelConfig& config, const FamilyTraits& t, nlohmann::json& json);

// Under the names of DeepSeek.
MlaConfig read_mla(const JsonFields& fields, const nlohmann::json& json, const MlaConfig& defaults);
void write_mla(const MlaConfig& mla, nlohmann::json& json);

}  // namespace switchyard
