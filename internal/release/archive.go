package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"
)

// archive packs files into one folder. Owner, mode and time of the files on this machine do not matter.
func archive(folder string, modified time.Time, files []file) ([]byte, error) {
	var buffer bytes.Buffer
	compressed, err := gzip.NewWriterLevel(&buffer, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	writer := tar.NewWriter(compressed)
	header := func(name string, kind byte, mode, size int64) error {
		return writer.WriteHeader(&tar.Header{
			Name: name, Typeflag: kind, Mode: mode, Size: size, ModTime: modified, Format: tar.FormatUSTAR,
		})
	}
	if err := header(folder+"/", tar.TypeDir, 0o755, 0); err != nil {
		return nil, err
	}
	for _, f := range sorted(files) {
		mode := int64(0o644)
		if f.program {
			mode = 0o755
		}
		if err := header(folder+"/"+f.name, tar.TypeReg, mode, int64(len(f.content))); err != nil {
			return nil, err
		}
		if _, err := writer.Write(f.content); err != nil {
			return nil, err
		}
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	if err := compressed.Close(); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}

// checksums returns the lines that `sha256sum --check` reads.
func checksums(files []file) []byte {
	var lines bytes.Buffer
	for _, f := range sorted(files) {
		fmt.Fprintf(&lines, "%x  %s\n", sha256.Sum256(f.content), f.name)
	}
	return lines.Bytes()
}

func sorted(files []file) []file {
	return slices.SortedFunc(slices.Values(files), func(a, b file) int {
		return strings.Compare(a.name, b.name)
	})
}
