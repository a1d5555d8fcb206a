//===- CodeObjectCheck.cpp - How plain a code object has to be ------------===//
#include "lowbit/Runtime/CodeObject.h"

#include "lowbit/Checkpoint/Message.h"

#include <cstring>
#include <elf.h>
#include <vector>

using namespace lowbit;

namespace {

constexpr uint64_t maxSymbols = 1 << 20;

#if defined(__x86_64__)
constexpr uint16_t hostMachine = EM_X86_64;
constexpr uint32_t relativeRelocation = R_X86_64_RELATIVE;
#elif defined(__aarch64__)
constexpr uint16_t hostMachine = EM_AARCH64;
constexpr uint32_t relativeRelocation = R_AARCH64_RELATIVE;
#endif

const char *machineName(uint16_t machine) {
  switch (machine) {
  case EM_X86_64:
    return "x86_64";
  case EM_AARCH64:
    return "aarch64";
  }
  return "another machine";
}

/// Walks an ELF image; every access is checked against its size.
class Checker {
public:
  Checker(Bytes elf, const std::string &file) : elf(elf), file(file) {}

  Status run() {
    if (auto error = checkHeader())
      return error;
    if (auto error = checkSegments())
      return error;
    if (auto error = checkDynamic())
      return error;
    if (auto error = checkRelocations())
      return error;
    return checkSymbols();
  }

private:
  Error fail(const std::string &what) const {
    return {ExitCode::Mismatch, escaped(file) + ": code: " + what};
  }

  /// A T at an offset of the file.
  template <typename T> std::optional<T> at(uint64_t offset) const {
    auto part = elf.sub(offset, sizeof(T));
    if (!part)
      return std::nullopt;
    T value;
    memcpy(&value, part->data, sizeof(T));
    return value;
  }

  /// The offset in the file of `size` bytes at a virtual address.
  std::optional<uint64_t> offsetOf(uint64_t address, uint64_t size) const {
    for (const Elf64_Phdr &segment : segments) {
      if (segment.p_type != PT_LOAD || address < segment.p_vaddr)
        continue;
      uint64_t inside = address - segment.p_vaddr;
      if (inside <= segment.p_filesz && size <= segment.p_filesz - inside)
        return segment.p_offset + inside;
    }
    return std::nullopt;
  }

  Status checkHeader() {
    auto header = at<Elf64_Ehdr>(0);
    if (!header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
      return fail("is not an ELF file");
    if (header->e_ident[EI_CLASS] != ELFCLASS64 ||
        header->e_ident[EI_DATA] != ELFDATA2LSB || header->e_type != ET_DYN)
      return fail("is not a 64-bit little-endian shared object");
    if (header->e_machine != hostMachine)
      return Error{ExitCode::Unsupported, escaped(file) + ": code: is for " +
                                              machineName(header->e_machine) +
                                              ", this machine is " +
                                              machineName(hostMachine)};
    if (header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phnum > 64)
      return fail("has a damaged program header");
    for (uint64_t i = 0; i < header->e_phnum; ++i) {
      if (header->e_phoff > elf.size)
        return fail("has program headers beyond its end");
      auto segment = at<Elf64_Phdr>(header->e_phoff + i * sizeof(Elf64_Phdr));
      if (!segment)
        return fail("has program headers beyond its end");
      segments.push_back(*segment);
    }
    return {};
  }

  Status checkSegments() {
    for (const Elf64_Phdr &segment : segments) {
      bool isWritable = segment.p_flags & PF_W;
      bool isExecutable = segment.p_flags & PF_X;
      switch (segment.p_type) {
      case PT_INTERP:
        return fail("names an interpreter (PT_INTERP)");
      case PT_TLS:
        return fail("has thread-local storage (PT_TLS)");
      case PT_GNU_STACK:
        if (isExecutable)
          return fail("wants an executable stack");
        break;
      case PT_LOAD:
        if (isWritable && isExecutable)
          return fail("has a segment that is writable and executable");
        if (segment.p_memsz < segment.p_filesz ||
            segment.p_memsz > (uint64_t(1) << 32) ||
            segment.p_vaddr > (uint64_t(1) << 40))
          return fail("has a segment with impossible sizes");
        break;
      case PT_DYNAMIC:
        dynamic = &segment;
        break;
      }
      if (segment.p_type == PT_LOAD || segment.p_type == PT_DYNAMIC)
        if (!elf.sub(segment.p_offset, segment.p_filesz))
          return fail("has a segment beyond its end");
    }
    if (!dynamic)
      return fail("has no dynamic section");
    return {};
  }

  Status checkDynamic() {
    for (uint64_t i = 0; i < dynamic->p_filesz / sizeof(Elf64_Dyn); ++i) {
      auto entry = at<Elf64_Dyn>(dynamic->p_offset + i * sizeof(Elf64_Dyn));
      uint64_t value = entry->d_un.d_val;
      switch (entry->d_tag) {
      case DT_NULL:
        return {};
      case DT_NEEDED:
      case DT_AUXILIARY:
      case DT_FILTER:
        return fail("needs another library (DT_NEEDED)");
      case DT_RPATH:
      case DT_RUNPATH:
        return fail("names folders of libraries (DT_RUNPATH)");
      case DT_INIT:
      case DT_INIT_ARRAY:
      case DT_PREINIT_ARRAY:
        return fail("has constructors (DT_INIT)");
      case DT_FINI:
      case DT_FINI_ARRAY:
        return fail("has destructors (DT_FINI)");
      case DT_TEXTREL:
        return fail("has text relocations (DT_TEXTREL)");
      case DT_FLAGS:
        if (value & DF_TEXTREL)
          return fail("has text relocations (DT_FLAGS)");
        break;
      case DT_REL:
        return fail("has relocations without addends (DT_REL)");
      case DT_RELA:
        relocations = value;
        break;
      case DT_RELASZ:
        relocationBytes = value;
        break;
      case DT_PLTRELSZ:
        if (value != 0)
          return fail("calls through a procedure table (DT_JMPREL)");
        break;
      case DT_SYMTAB:
        symbols = value;
        break;
      case DT_STRTAB:
        strings = value;
        break;
      case DT_STRSZ:
        stringBytes = value;
        break;
      case DT_HASH:
        hash = value;
        break;
      case DT_GNU_HASH:
        gnuHash = value;
        break;
      }
    }
    return {};
  }

  Status checkRelocations() const {
    if (relocationBytes == 0)
      return {};
    auto offset = offsetOf(relocations, relocationBytes);
    if (!offset)
      return fail("has relocations beyond its end");
    for (uint64_t i = 0; i < relocationBytes / sizeof(Elf64_Rela); ++i) {
      auto relocation = at<Elf64_Rela>(*offset + i * sizeof(Elf64_Rela));
      uint64_t type = ELF64_R_TYPE(relocation->r_info);
      if (type == R_X86_64_IRELATIVE || type == R_AARCH64_IRELATIVE)
        return fail("has indirect functions (IFUNC)");
      if (type != relativeRelocation)
        return fail("has a relocation of type " + std::to_string(type) +
                    ", allowed are relative ones");
    }
    return {};
  }

  /// Number of dynamic symbols, from whichever hash table there is.
  std::optional<uint64_t> symbolCount() const {
    if (hash) {
      auto offset = offsetOf(hash, 8);
      auto chains = offset ? at<uint32_t>(*offset + 4) : std::nullopt;
      return chains ? std::optional<uint64_t>(*chains) : std::nullopt;
    }
    auto offset = gnuHash ? offsetOf(gnuHash, 16) : std::nullopt;
    if (!offset)
      return std::nullopt;
    uint64_t bucketCount = *at<uint32_t>(*offset);
    uint64_t first = *at<uint32_t>(*offset + 4);
    uint64_t bloomWords = *at<uint32_t>(*offset + 8);
    uint64_t buckets = *offset + 16 + 8 * bloomWords;
    uint64_t chains = buckets + 4 * bucketCount;
    uint64_t last = 0;
    for (uint64_t i = 0; i < bucketCount; ++i) {
      auto bucket = at<uint32_t>(buckets + 4 * i);
      if (!bucket)
        return std::nullopt;
      last = std::max<uint64_t>(last, *bucket);
    }
    if (last < first)
      return first;
    // The chain of the last bucket ends at an odd value.
    for (;; ++last) {
      auto value = at<uint32_t>(chains + 4 * (last - first));
      if (!value)
        return std::nullopt;
      if (*value & 1)
        return last + 1;
    }
  }

  /// The name at an offset of the string table, or nothing.
  std::optional<std::string> name(uint32_t offset) const {
    auto start = offsetOf(strings, stringBytes);
    if (!start || offset >= stringBytes)
      return std::nullopt;
    const auto *text = reinterpret_cast<const char *>(elf.data + *start);
    return std::string(text + offset,
                       strnlen(text + offset, stringBytes - offset));
  }

  Status checkSymbols() const {
    auto count = symbolCount();
    if (!count || *count > maxSymbols ||
        !offsetOf(symbols, *count * sizeof(Elf64_Sym)))
      return fail("has a damaged symbol table");
    uint64_t start = *offsetOf(symbols, *count * sizeof(Elf64_Sym));
    int tables = 0;
    for (uint64_t i = 1; i < *count; ++i) {
      auto symbol = at<Elf64_Sym>(start + i * sizeof(Elf64_Sym));
      auto symbolName = name(symbol->st_name);
      if (!symbolName)
        return fail("has a damaged string table");
      unsigned type = ELF64_ST_TYPE(symbol->st_info);
      if (symbol->st_shndx == SHN_UNDEF)
        return fail("has the undefined symbol " + quoted(*symbolName));
      if (type == STT_GNU_IFUNC)
        return fail("has indirect functions (IFUNC " + quoted(*symbolName) +
                    ")");
      if (ELF64_ST_BIND(symbol->st_info) == STB_LOCAL)
        continue;
      if (*symbolName != "lowbit_kernels" || type != STT_OBJECT)
        return fail("exports " + quoted(*symbolName) +
                    ", may export only the object \"lowbit_kernels\"");
      ++tables;
    }
    if (tables != 1)
      return fail("exports " + std::to_string(tables) +
                  " tables named \"lowbit_kernels\", must export 1");
    return {};
  }

  Bytes elf;
  const std::string &file;
  std::vector<Elf64_Phdr> segments;
  const Elf64_Phdr *dynamic = nullptr;
  uint64_t relocations = 0, relocationBytes = 0;
  uint64_t symbols = 0, strings = 0, stringBytes = 0;
  uint64_t hash = 0, gnuHash = 0;
};

} // namespace

Status lowbit::checkCodeObject(Bytes elf, const std::string &file) {
  return Checker(elf, file).run();
}
