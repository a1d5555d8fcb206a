//===- Ledger.cpp - What packing did to each tensor -----------------------===//

#include "lowbit/Transforms/Ledger.h"
#include "lowbit/Checkpoint/Message.h"

#include <algorithm>
#include <cstdio>

using namespace lowbit;

namespace {

JsonValue orNull(const std::optional<double> &value) {
  return value ? JsonValue(*value) : JsonValue();
}

JsonValue totalToJson(const LedgerTotal &total) {
  JsonValue json = JsonValue::object();
  json.set("tensors", total.tensors);
  json.set("weights", total.weights);
  json.set("bytes", total.bytes);
  json.set("padding", total.padding);
  json.set("bits", total.bits());
  return json;
}

std::string number(const char *format, double value) {
  char text[64];
  std::snprintf(text, sizeof(text), format, value);
  return text;
}

using Row = std::vector<std::string>;

Row tableRow(const LedgerEntry &entry) {
  std::string layer = entry.layer < 0 ? "" : std::to_string(entry.layer);
  std::string shape =
      std::to_string(entry.rows) + " x " + std::to_string(entry.columns);
  return {entry.name,
          layer,
          entry.role,
          shape,
          entry.format,
          entry.solver,
          number("%.3f", entry.bits()),
          std::to_string(entry.bytes),
          std::to_string(entry.padding),
          entry.weightError ? number("%.3e", *entry.weightError) : "-",
          entry.outputError ? number("%.3e", *entry.outputError) : "-",
          std::to_string(entry.nonfinite),
          number("%.3f", entry.seconds)};
}

/// Names left, numbers right.
std::string alignRows(const std::vector<Row> &rows) {
  std::vector<size_t> width;
  for (const Row &row : rows) {
    width.resize(std::max(width.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i)
      width[i] = std::max(width[i], row[i].size());
  }
  std::string text;
  for (const Row &row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      std::string padding(width[i] - row[i].size(), ' ');
      bool isText = i == 0 || i == 2 || i == 4 || i == 5;
      text += i == 0 ? "" : "  ";
      text += isText ? row[i] + padding : padding + row[i];
    }
    while (!text.empty() && text.back() == ' ')
      text.pop_back();
    text += '\n';
  }
  return text;
}

std::string describeTotal(const char *what, const LedgerTotal &total) {
  return std::string(what) + ": " + std::to_string(total.tensors) +
         " tensors, " + std::to_string(total.weights) + " weights, " +
         std::to_string(total.bytes) + " bytes (" +
         std::to_string(total.padding) + " padding), " +
         number("%.4f", total.bits()) + " complete bits per weight\n";
}

Result<std::optional<double>> optionalNumber(const JsonField &field) {
  if (field.isAbsent())
    return std::optional<double>();
  Result<double> value = field.number(0, 1e300);
  if (!value)
    return value.error();
  return std::optional<double>(*value);
}

} // namespace

JsonValue lowbit::ledgerEntryToJson(const LedgerEntry &entry) {
  JsonValue json = JsonValue::object();
  json.set("name", entry.name);
  JsonValue &sources = json.set("sources", JsonValue::array());
  for (const std::string &source : entry.sources)
    sources.push(source);
  json.set("role", entry.role);
  json.set("layer", entry.layer);
  json.set("format", entry.format);
  json.set("solver", entry.solver);
  json.set("rows", entry.rows);
  json.set("columns", entry.columns);
  json.set("originals", entry.originals);
  json.set("bytes", entry.bytes);
  json.set("payload", entry.payload);
  json.set("padding", entry.padding);
  json.set("bits", entry.bits());
  json.set("weight_error", orNull(entry.weightError));
  json.set("output_error", orNull(entry.outputError));
  json.set("nonfinite", entry.nonfinite);
  json.set("seconds", entry.seconds);
  return json;
}

Result<LedgerEntry> lowbit::ledgerEntryFromJson(const JsonField &field) {
  LedgerEntry entry;
  Status problem;
  auto text = [&](const char *key, std::string &out) {
    Result<std::string_view> value = field.get(key).string();
    if (value)
      out = *value;
    else if (!problem)
      problem = value.error();
  };
  auto integer = [&](const char *key, int64_t &out, int64_t least = 0) {
    Result<int64_t> value =
        field.get(key).signedInteger(least, int64_t(1) << 62);
    if (value)
      out = *value;
    else if (!problem)
      problem = value.error();
  };
  auto ratio = [&](const char *key, std::optional<double> &out) {
    Result<std::optional<double>> value = optionalNumber(field.get(key));
    if (value)
      out = *value;
    else if (!problem)
      problem = value.error();
  };
  text("name", entry.name);
  text("role", entry.role);
  integer("layer", entry.layer, -1);
  text("format", entry.format);
  text("solver", entry.solver);
  integer("rows", entry.rows, 1);
  integer("columns", entry.columns, 1);
  integer("originals", entry.originals);
  integer("bytes", entry.bytes);
  integer("payload", entry.payload);
  integer("padding", entry.padding);
  ratio("weight_error", entry.weightError);
  ratio("output_error", entry.outputError);
  integer("nonfinite", entry.nonfinite);
  Result<double> seconds = field.get("seconds").number(0, 1e12);
  Result<const JsonArray *> sources = field.get("sources").array();
  if (problem)
    return Error{ExitCode::Mismatch, problem->message};
  if (!seconds)
    return Error{ExitCode::Mismatch, seconds.error().message};
  if (!sources)
    return Error{ExitCode::Mismatch, sources.error().message};
  entry.seconds = *seconds;
  for (const JsonValue &source : **sources) {
    if (!source.isString())
      return Error{ExitCode::Mismatch,
                   field.get("sources").mustBe("a list of names").message};
    entry.sources.push_back(source.asString());
  }
  return entry;
}

bool lowbit::isLinearOfLayer(const LedgerEntry &entry) {
  return !entry.role.empty() && entry.role != "norm" && entry.role != "bias" &&
         entry.role.find("embedding") == std::string::npos &&
         entry.role.find("head") == std::string::npos;
}

LedgerTotal lowbit::sumLedger(const std::vector<LedgerEntry> &entries,
                              bool linearsOnly) {
  LedgerTotal total;
  for (const LedgerEntry &entry : entries) {
    if (linearsOnly && !isLinearOfLayer(entry))
      continue;
    ++total.tensors;
    total.weights += entry.originals;
    total.bytes += entry.bytes;
    total.padding += entry.padding;
  }
  return total;
}

std::string
lowbit::writeLedgerJson(const std::vector<LedgerEntry> &entries,
                        const std::vector<LedgerDecision> &decisions) {
  JsonValue json = JsonValue::object();
  json.set("version", 1);
  JsonValue &totals = json.set("totals", JsonValue::object());
  totals.set("linears", totalToJson(sumLedger(entries, true)));
  totals.set("model", totalToJson(sumLedger(entries, false)));
  JsonValue &tensors = json.set("tensors", JsonValue::array());
  for (const LedgerEntry &entry : entries)
    tensors.push(ledgerEntryToJson(entry));
  JsonValue &list = json.set("decisions", JsonValue::array());
  for (const LedgerDecision &decision : decisions) {
    JsonValue item = JsonValue::object();
    item.set("pass", decision.pass);
    item.set("place", decision.place);
    item.set("choice", decision.choice);
    item.set("error_without", decision.errorWithout);
    item.set("error_with", decision.errorWith);
    list.push(std::move(item));
  }
  return writeJson(json) + "\n";
}

std::string
lowbit::writeLedgerTable(const std::vector<LedgerEntry> &entries,
                         const std::vector<LedgerDecision> &decisions) {
  std::vector<Row> rows = {{"tensor", "layer", "role", "shape", "format",
                            "solver", "bits", "bytes", "padding", "weight err",
                            "output err", "nonfinite", "seconds"}};
  for (const LedgerEntry &entry : entries)
    rows.push_back(tableRow(entry));
  std::string text = alignRows(rows) + "\n" +
                     describeTotal("linears", sumLedger(entries, true)) +
                     describeTotal("model", sumLedger(entries, false));
  for (const LedgerDecision &decision : decisions)
    text += decision.pass + ", " + decision.place + ": " + decision.choice +
            " (error " + number("%.6g", decision.errorWithout) + " without, " +
            number("%.6g", decision.errorWith) + " with)\n";
  return text;
}
