package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	_ "embed" // licenses.txt
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// module is a module whose packages a program contains, or Go's standard library.
type module struct {
	path, version string
	texts         []licenseText // sorted by file
}

// licenseText is a file with licenses or a notice. A notice has no SPDX identifiers.
type licenseText struct {
	file, text string
	spdx       []string
}

// identifiers returns the SPDX identifiers of the module's licenses, without duplicates.
func (m module) identifiers() (ids []string) {
	for _, text := range m.texts {
		ids = append(ids, text.spdx...)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// reviewed has a row for each license text that a maintainer has read.
//
//go:embed licenses.txt
var reviewed string

// allowed holds the licenses that programs may contain. All permit redistribution together with their text.
var allowed = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT"}

var (
	licenseFile = regexp.MustCompile(`(?i)^(un)?(licen[cs]e|copying)s?([._-].*)?$`)
	noticeFile  = regexp.MustCompile(`(?i)^(notice|patents)s?([._-].*)?$`)
	copyright   = regexp.MustCompile(`(?im)^[\s>*/#-]*(portions )?copyright\s+(\(c\)|©|[0-9]{4}).*$`)
	separators  = regexp.MustCompile(`[^a-z0-9]+`)
)

// digestOf identifies a license text apart from the lines with its owners, and from its layout.
func digestOf(text string) string {
	text = copyright.ReplaceAllString(text, "")
	text = separators.ReplaceAllString(strings.ToLower(text), " ")
	return fmt.Sprintf("%x", sha256.Sum256([]byte(strings.TrimSpace(text))))
}

// identify returns the SPDX identifiers of a reviewed text.
func identify(text string) ([]string, error) {
	digest := digestOf(text)
	for line := range strings.Lines(reviewed) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[0] != digest {
			continue
		}
		ids := strings.Split(fields[1], ",")
		for _, id := range ids {
			if !slices.Contains(allowed, id) {
				return nil, fmt.Errorf("license %s is not one of %s", id, strings.Join(allowed, ", "))
			}
		}
		return ids, nil
	}
	return nil, fmt.Errorf("unknown license; read it, and add %s to internal/release/licenses.txt", digest)
}

// linkedPackage is a package in the output of `go list`.
type linkedPackage struct {
	Dir      string
	Standard bool
	Module   *struct {
		Path, Version, Dir string
		Main               bool
	}
}

// linkedModules returns the modules whose packages the programs of a target contain, sorted by path. It fails for a
// module without a license or with one that is not allowed.
func linkedModules(ctx context.Context, dir string, t target) ([]module, error) {
	args := []string{"list", "-deps", "-json=Dir,Standard,Module"}
	for _, program := range t.programs {
		args = append(args, "./cmd/"+program)
	}
	packages, err := goCommand(ctx, dir, t.environment(), args...)
	if err != nil {
		return nil, err
	}
	goEnv, err := goCommand(ctx, dir, t.environment(), "env", "GOROOT", "GOVERSION")
	if err != nil {
		return nil, err
	}
	goroot, version, _ := strings.Cut(strings.TrimSpace(string(goEnv)), "\n")
	modules := map[string]module{}
	var errs []error
	for decoder := json.NewDecoder(bytes.NewReader(packages)); ; {
		var p linkedPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		if p.Module != nil && p.Module.Main {
			continue
		}
		// Folders of std have licenses of files that only other builds contain, such as BoringCrypto's.
		m, top, folder := module{path: "std", version: version}, goroot, goroot
		if p.Module != nil {
			m, top, folder = module{path: p.Module.Path, version: p.Module.Version}, p.Module.Dir, p.Dir
		}
		if known, ok := modules[m.path]; ok {
			m = known
		}
		if m.texts, err = addLicenses(m.texts, top, folder); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", m.path, err))
		}
		modules[m.path] = m
	}
	return sortedModules(modules, errs)
}

func sortedModules(modules map[string]module, errs []error) ([]module, error) {
	var result []module
	for _, m := range modules {
		if len(m.identifiers()) == 0 {
			errs = append(errs, fmt.Errorf("%s %s: no license", m.path, m.version))
		}
		slices.SortFunc(m.texts, func(a, b licenseText) int { return strings.Compare(a.file, b.file) })
		result = append(result, m)
	}
	slices.SortFunc(result, func(a, b module) int { return strings.Compare(a.path, b.path) })
	return result, errors.Join(errs...)
}

// addLicenses adds the texts in the folder of a package and in its parents up to the top of the module.
func addLicenses(texts []licenseText, top, dir string) ([]licenseText, error) {
	for ; ; dir = filepath.Dir(dir) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return texts, err
		}
		for _, entry := range entries {
			license, notice := licenseFile.MatchString(entry.Name()), noticeFile.MatchString(entry.Name())
			path := filepath.Join(dir, entry.Name())
			name, err := filepath.Rel(top, path)
			known := slices.ContainsFunc(texts, func(t licenseText) bool { return t.file == filepath.ToSlash(name) })
			if err != nil || known || entry.IsDir() || filepath.Ext(path) == ".go" || !license && !notice {
				continue
			}
			content, err := os.ReadFile(path)
			if err != nil {
				return texts, err
			}
			text := licenseText{file: filepath.ToSlash(name), text: strings.ReplaceAll(string(content), "\r\n", "\n")}
			if license {
				if text.spdx, err = identify(text.text); err != nil {
					return texts, fmt.Errorf("%s: %w", text.file, err)
				}
			}
			texts = append(texts, text)
		}
		if dir == top || !strings.HasPrefix(dir, top) {
			return texts, nil
		}
	}
}

// thirdPartyLicenses returns the file THIRD_PARTY_LICENSES: each text once, below the modules that have it.
func thirdPartyLicenses(modules []module) string {
	type group struct {
		text  licenseText
		names []string
	}
	var groups []*group
	for _, m := range modules {
		for _, text := range m.texts {
			i := slices.IndexFunc(groups, func(g *group) bool {
				return g.text.text == text.text && strings.Join(g.text.spdx, ",") == strings.Join(text.spdx, ",")
			})
			if i < 0 {
				groups, i = append(groups, &group{text: text}), len(groups)
			}
			groups[i].names = append(groups[i].names, m.path+" "+m.version+" ("+text.file+")")
		}
	}
	var out strings.Builder
	out.WriteString("Blox contains the modules below and Go's standard library (std). LICENSE is the license of Blox.\n")
	out.WriteString("The module github.com/swaggest/swgui contains Swagger UI, whose license is Apache-2.0, too.\n")
	for _, g := range groups {
		fmt.Fprintf(&out, "\n%s\n%s\n", strings.Repeat("=", 80), strings.Join(g.names, "\n"))
		kind := cmp.Or(strings.Join(g.text.spdx, ", "), "Notice")
		fmt.Fprintf(&out, "%s:\n\n%s\n", kind, strings.TrimSpace(g.text.text))
	}
	return out.String()
}
