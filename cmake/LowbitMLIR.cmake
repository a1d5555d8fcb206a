# MLIR and LLVM 22 as shared libraries (docs/Rationale.md: why the dylibs and not the upstream macros).
find_package(MLIR 22.1 REQUIRED CONFIG PATHS /usr/lib/llvm-22)
list(APPEND CMAKE_MODULE_PATH "${MLIR_CMAKE_DIR}" "${LLVM_CMAKE_DIR}")
include(TableGen)
include(AddLLVM)
include(AddMLIR)
separate_arguments(LLVM_DEFS NATIVE_COMMAND "${LLVM_DEFINITIONS}")
# mlir_tablegen reads the directory property, not a target's.
include_directories(SYSTEM ${MLIR_INCLUDE_DIRS})
include_directories(${PROJECT_SOURCE_DIR}/include ${PROJECT_BINARY_DIR}/include)

add_library(lowbit_mlir_options INTERFACE)
target_compile_options(lowbit_mlir_options INTERFACE ${LLVM_DEFS} -march=x86-64-v3)
target_link_libraries(lowbit_mlir_options INTERFACE lowbit_options MLIR LLVM)

# lowbit_mlir_room(Name SOURCES… LINK… DEPENDS…): a room that links MLIR. The first one carries the precompiled header.
function(lowbit_mlir_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;LINK;DEPENDS" ${ARGN})
  add_library(Lowbit${name} STATIC ${ROOM_SOURCES})
  target_link_libraries(Lowbit${name} PUBLIC lowbit_mlir_options ${ROOM_LINK})
  add_dependencies(Lowbit${name} LowbitIRIncGen ${ROOM_DEPENDS})
  target_compile_options(Lowbit${name} PRIVATE -Xclang -fno-pch-timestamp)
  if(name STREQUAL "IR")
    target_precompile_headers(LowbitIR PRIVATE
      <mlir/IR/Builders.h> <mlir/IR/BuiltinOps.h> <mlir/IR/OpImplementation.h>
      <mlir/IR/PatternMatch.h> <mlir/Pass/Pass.h> <mlir/Dialect/Func/IR/FuncOps.h>
      <mlir/Interfaces/SideEffectInterfaces.h> <llvm/ADT/TypeSwitch.h>)
  else()
    target_precompile_headers(Lowbit${name} REUSE_FROM LowbitIR)
  endif()
endfunction()
