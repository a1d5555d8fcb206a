//===- Fiber.cpp - Stacks that are switched by hand -----------------------===//
#include "Fiber.h"

#include <cstdlib>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LOWBIT_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define LOWBIT_ASAN 1
#endif
#ifdef LOWBIT_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

using namespace lowbit;

#if defined(__x86_64__)
// lowbit_switch(void **save, void *load): the registers that the System V ABI
// has a function keep go on the old stack and come from the new one.
asm(R"(
  .text
  .hidden lowbit_switch
  .globl lowbit_switch
  .type lowbit_switch, @function
lowbit_switch:
  .cfi_startproc
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  retq
  .cfi_endproc
  .size lowbit_switch, .-lowbit_switch

  .hidden lowbit_begin
  .globl lowbit_begin
  .type lowbit_begin, @function
lowbit_begin:
  .cfi_startproc
  .cfi_undefined rip
  movq %rbx, %rdi
  callq *%rbp
  ud2
  .cfi_endproc
  .size lowbit_begin, .-lowbit_begin
)");

extern "C" void lowbit_switch(void **save, void *load);
extern "C" void lowbit_begin();

void Fiber::start(uint8_t *memory, size_t bytes, Entry entry, void *context) {
  stack = memory;
  stackBytes = bytes;
#ifdef LOWBIT_ASAN
  // Frames that were left for good are still poisoned.
  __asan_unpoison_memory_region(memory, bytes);
#endif
  // lowbit_begin starts with the stack at a multiple of 16 (two empty words
  // under the top), so that the call in it keeps the ABI.
  auto **top = reinterpret_cast<void **>(memory + bytes);
  *--top = nullptr;
  *--top = nullptr;
  *--top = reinterpret_cast<void *>(lowbit_begin);
  *--top = reinterpret_cast<void *>(entry); // rbp
  *--top = context;                         // rbx
  for (int i = 0; i < 4; ++i)
    *--top = nullptr; // r12 … r15
  stackPointer = top;
  fakeStack = nullptr;
}
#else
extern "C" void lowbit_switch(void **, void *) { abort(); }
void Fiber::start(uint8_t *, size_t, Entry, void *) { abort(); }
#endif

void Fiber::entered() {
#ifdef LOWBIT_ASAN
  const void *bottom = nullptr;
  size_t size = 0;
  __sanitizer_finish_switch_fiber(fakeStack, &bottom, &size);
  // What the thread's own stack is becomes known on the first switch from it.
  if (cameFrom && !cameFrom->stack) {
    cameFrom->stack = static_cast<const uint8_t *>(bottom);
    cameFrom->stackBytes = size;
  }
#endif
}

void Fiber::leave(Fiber &from, bool isLast) {
  cameFrom = &from;
#ifdef LOWBIT_ASAN
  __sanitizer_start_switch_fiber(isLast ? nullptr : &from.fakeStack, stack,
                                 stackBytes);
#else
  (void)isLast;
#endif
  lowbit_switch(&from.stackPointer, stackPointer);
  from.entered();
}

void Fiber::switchFrom(Fiber &from) { leave(from, /*isLast=*/false); }
