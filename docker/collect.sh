#!/bin/sh
# collect.sh PROGRAM ROOT: puts the program at ROOT/annulus and the libraries that it needs at their own places below.
set -eu
program=$1
root=$2
mkdir -p "$root"
install -m 755 "$program" "$root/annulus"
# Symbols stay, so that a backtrace has names; debugging information is most of the file.
strip --strip-debug "$root/annulus"
# Lines of ldd: "name => /path (address)", "/path (address)" of the loader, and the kernel's own without a path.
for library in $(ldd "$program" | grep -o '/[^ )]*' | sort -u); do
    mkdir -p "$root$(dirname "$library")"
    install -m 755 "$library" "$root$library"
done
