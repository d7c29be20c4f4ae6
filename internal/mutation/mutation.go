package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// mutation is a bug that is put into the code on purpose. One command has to fail because of it.
type mutation struct {
	name  string // unique, of lower-case words and hyphens
	bug   string // what Blox does wrong with it; a sentence of Markdown
	fixed string // commit that fixed it in this project; empty for a bug that no version had
	edits []edit
	by    finder
}

// edit replaces a text in a file of this module.
type edit struct {
	file     string // path below the top of the module
	old, new string // old occurs exactly once
}

// finder is a command that passes without the mutation: tests of a package, or a run of blox-robustness.
type finder struct {
	pkg   string   // path of the tests' package below the top of the module
	tests []string // names of test functions; each of them has to pass without the mutation, one has to fail with it
	args  []string // of blox-robustness; without a package
	found string   // the promise in the report of blox-robustness, or a part of it
}

// test is a finder: functions of one package, each without its subtests.
func test(pkg string, functions ...string) finder { return finder{pkg: pkg, tests: functions} }

// robustness is a finder: a run of blox-robustness with args, separated by spaces, that reports the promise.
func robustness(promise, args string) finder {
	return finder{args: strings.Fields(args), found: promise}
}

// String returns the command, as for a shell.
func (f finder) String() string {
	if f.pkg == "" {
		return "blox-robustness " + strings.Join(f.args, " ")
	}
	return fmt.Sprintf("go test ./%s -run '%s'", f.pkg, f.pattern())
}

// changesClocks reports whether the run has faults of clocks, which need services built with test clocks.
func (f finder) changesClocks() bool {
	return slices.ContainsFunc(f.args, func(arg string) bool {
		return strings.Contains(arg, "clock-step") || strings.Contains(arg, "suspend")
	})
}

// pattern is the value of -run.
func (f finder) pattern() string { return "^(" + strings.Join(f.tests, "|") + ")$" }

// mutations returns every mutation, in the order of the table in README.md.
func mutations() []mutation {
	return slices.Concat(schedulerMutations, clusterStateMutations)
}

// apply returns the changed text of each file, by its path below root.
func (m mutation) apply(root string) (map[string]string, error) {
	changed := map[string]string{}
	for _, e := range m.edits {
		text, ok := changed[e.file]
		if !ok {
			source, err := os.ReadFile(filepath.Join(root, e.file))
			if err != nil {
				return nil, fmt.Errorf("read the file of %s: %w", m.name, err)
			}
			text = string(source)
		}
		if n := strings.Count(text, e.old); n != 1 {
			return nil, fmt.Errorf("%s: %s contains the old text %d times, not once:\n%s", m.name, e.file, n, e.old)
		}
		changed[e.file] = strings.Replace(text, e.old, e.new, 1)
	}
	return changed, nil
}

// writeOverlay writes the changed files into dir. It returns the path of the list for the flag -overlay of go build.
func (m mutation) writeOverlay(root, dir string) (list string, err error) {
	changed, err := m.apply(root)
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for file, text := range changed {
		path := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return "", fmt.Errorf("write a mutated file: %w", err)
		}
		replace[filepath.Join(root, file)] = path
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", fmt.Errorf("encode the overlay: %w", err)
	}
	list = filepath.Join(dir, "overlay.json")
	return list, os.WriteFile(list, text, 0o644)
}
