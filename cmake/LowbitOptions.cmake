# Flags that every target shares, and how a room becomes a library.
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
# Asserts stay on in every build of our own code: bad input must never reach one, and a wrong pass should.
string(REPLACE "-DNDEBUG" "" CMAKE_CXX_FLAGS_RELEASE "${CMAKE_CXX_FLAGS_RELEASE}")
string(REPLACE "-O3" "-O2" CMAKE_CXX_FLAGS_RELEASE "${CMAKE_CXX_FLAGS_RELEASE}")

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

add_library(lowbit_options INTERFACE)
target_include_directories(lowbit_options INTERFACE
  ${PROJECT_SOURCE_DIR}/include ${PROJECT_BINARY_DIR}/include)
target_compile_options(lowbit_options INTERFACE
  -Wall -Wextra -Wno-unused-parameter -ffp-contract=off -fno-exceptions
  -fvisibility-inlines-hidden -ffile-prefix-map=${PROJECT_SOURCE_DIR}/=)
target_link_options(lowbit_options INTERFACE -fuse-ld=lld)
if(LOWBIT_SANITIZE)
  target_compile_options(lowbit_options INTERFACE -fsanitize=${LOWBIT_SANITIZE}
    -fno-sanitize-recover=all -fno-omit-frame-pointer -g1)
  target_link_options(lowbit_options INTERFACE -fsanitize=${LOWBIT_SANITIZE})
endif()

# lowbit_room(Name SOURCES… LINK…): a room without LLVM; runs on x86-64-v2.
function(lowbit_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;LINK" ${ARGN})
  add_library(Lowbit${name} STATIC ${ROOM_SOURCES})
  target_compile_options(Lowbit${name} PRIVATE -march=x86-64-v2)
  target_link_libraries(Lowbit${name} PUBLIC lowbit_options ${ROOM_LINK})
endfunction()
