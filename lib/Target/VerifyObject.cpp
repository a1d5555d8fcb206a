//===- VerifyObject.cpp - What a code object must not have ------*- C++ -*-===//
//
// Spec.md, 5.1. The runtime has a reader of its own that repeats these checks
// on what it loads; this one fails where the mistake was made.
//
//===----------------------------------------------------------------------===//

#include "lowbit/Target/LinkObject.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/MemoryBufferRef.h"

using namespace lowbit;
using llvm::object::ELF64LEFile;

static Error refuse(const llvm::Twine &what) {
  return {ExitCode::Internal, ("code object: " + what).str()};
}

static Status checkDynamic(const ELF64LEFile &file) {
  auto entries = file.dynamicEntries();
  if (!entries)
    return refuse(llvm::toString(entries.takeError()));
  for (const auto &entry : *entries)
    switch (entry.getTag()) {
    case llvm::ELF::DT_NEEDED:
    case llvm::ELF::DT_INIT:
    case llvm::ELF::DT_FINI:
    case llvm::ELF::DT_INIT_ARRAY:
    case llvm::ELF::DT_FINI_ARRAY:
    case llvm::ELF::DT_PREINIT_ARRAY:
    case llvm::ELF::DT_TEXTREL:
    case llvm::ELF::DT_RPATH:
    case llvm::ELF::DT_RUNPATH:
      return refuse("dynamic section has " +
                    file.getDynamicTagAsString(entry.getTag()));
    default:
      break;
    }
  return {};
}

static Status checkSegments(const ELF64LEFile &file) {
  auto segments = file.program_headers();
  if (!segments)
    return refuse(llvm::toString(segments.takeError()));
  constexpr unsigned writeExecute = llvm::ELF::PF_W | llvm::ELF::PF_X;
  for (const auto &segment : *segments) {
    if (segment.p_type == llvm::ELF::PT_INTERP)
      return refuse("has an interpreter");
    if (segment.p_type == llvm::ELF::PT_LOAD &&
        (segment.p_flags & writeExecute) == writeExecute)
      return refuse("has a segment that is writable and executable");
  }
  return {};
}

/// Every dynamic relocation must be a plain base-relative one.
static Status checkRelocations(const ELF64LEFile &file) {
  auto sections = file.sections();
  if (!sections)
    return refuse(llvm::toString(sections.takeError()));
  for (const auto &section : *sections) {
    if (section.sh_type == llvm::ELF::SHT_REL)
      return refuse("has relocations without addends");
    if (section.sh_type != llvm::ELF::SHT_RELA)
      continue;
    auto relocations = file.relas(section);
    if (!relocations)
      return refuse(llvm::toString(relocations.takeError()));
    for (const auto &relocation : *relocations) {
      uint32_t type = relocation.getType(false);
      if (type != llvm::object::getELFRelativeRelocationType(
                      file.getHeader().e_machine))
        return refuse("has a relocation of type " +
                      file.getRelocationTypeName(type));
    }
  }
  return {};
}

static Status checkSymbols(const ELF64LEFile &file) {
  auto sections = file.sections();
  if (!sections)
    return refuse(llvm::toString(sections.takeError()));
  unsigned exported = 0;
  for (const auto &section : *sections) {
    if (section.sh_type != llvm::ELF::SHT_DYNSYM)
      continue;
    auto names = file.getStringTableForSymtab(section);
    auto symbols = file.symbols(&section);
    if (!names || !symbols)
      return refuse("damaged symbol table");
    for (const auto &symbol : symbols->drop_front()) {
      auto name = symbol.getName(*names);
      llvm::StringRef text = name ? *name : llvm::StringRef("(no name)");
      if (symbol.isUndefined())
        return refuse("undefined symbol '" + text + "'");
      if (symbol.getType() == llvm::ELF::STT_GNU_IFUNC)
        return refuse("IFUNC '" + text + "'");
      if (symbol.getBinding() == llvm::ELF::STB_LOCAL)
        continue;
      if (text != "lowbit_kernels" || symbol.getType() != llvm::ELF::STT_OBJECT)
        return refuse("exports '" + text + "'");
      ++exported;
    }
  }
  if (exported != 1)
    return refuse("does not export lowbit_kernels");
  return {};
}

Status lowbit::verifyCodeObject(llvm::StringRef bytes) {
  auto file = ELF64LEFile::create(bytes);
  if (!file)
    return refuse(llvm::toString(file.takeError()));
  if (file->getHeader().e_type != llvm::ELF::ET_DYN)
    return refuse("not a shared object");
  for (auto check :
       {checkDynamic, checkSegments, checkSymbols, checkRelocations})
    if (Status failure = check(*file))
      return failure;
  return {};
}
