// Package layers holds the allowed imports between the packages of this module as data, in layers.txt.
// Its test fails when a package imports what its row does not allow.
package layers

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

const (
	module = "github.com/blox/blox/"

	sharedSection    = "shared"
	generatedSection = "generated"
)

//go:embed layers.txt
var layersText string

// Package is one package of the module, as `go list` describes it.
type Package struct {
	ImportPath string
	Imports    []string // direct imports, without those of tests
	Deps       []string // all imports, direct and indirect
}

// Row is one package's rule.
type Row struct {
	Section   string
	Imports   []string // patterns of packages of this module
	Forbidden []string // patterns of import paths, with the module's path for its own packages
}

// Table holds a rule for every package. Its keys are patterns.
type Table map[string]Row

// ParseTable reads a table in the form that layers.txt documents.
func ParseTable(text string) (Table, error) {
	table, section := Table{}, ""
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if strings.HasPrefix(line, "[") {
			section = strings.Trim(line, "[]")
			continue
		}
		pattern, imports, found := strings.Cut(line, "->")
		pattern = strings.TrimSpace(pattern)
		if !found || pattern == "" || section == "" {
			return nil, fmt.Errorf("line %d: %q: want `package -> imports` below a `[section]`", i+1, line)
		}
		row := table[pattern]
		if row.Section != "" && row.Section != section {
			return nil, fmt.Errorf("line %d: %s has a row in section %s, too", i+1, pattern, row.Section)
		}
		row.Section = section
		for _, word := range strings.Fields(imports) {
			if path, forbidden := strings.CutPrefix(word, "!"); forbidden {
				row.Forbidden = append(row.Forbidden, path)
			} else {
				row.Imports = append(row.Imports, word)
			}
		}
		table[pattern] = row
	}
	return table, nil
}

// Check returns an error for every rule that packages break, and for every row that matches none of them.
func (t Table) Check(packages []Package) error {
	var broken []error
	used := map[string]bool{}
	for _, p := range packages {
		name := strings.TrimPrefix(p.ImportPath, module)
		pattern, found := t.match(name)
		if !found {
			broken = append(broken, fmt.Errorf("%s has no row in layers.txt", name))
			continue
		}
		used[pattern] = true
		broken = append(broken, t.checkPackage(name, p, t[pattern]))
	}
	for _, pattern := range slices.Sorted(maps.Keys(t)) {
		if !used[pattern] {
			broken = append(broken, fmt.Errorf("the row of %s in layers.txt matches no package", pattern))
		}
	}
	return errors.Join(broken...)
}

func (t Table) checkPackage(name string, p Package, row Row) error {
	var broken []error
	for _, imported := range ownImports(p) {
		if !matchesAny(row.Imports, imported) && !t.mayUseShared(row, imported) {
			broken = append(broken, fmt.Errorf("%s may not import %s", name, imported))
		}
	}
	for _, dependency := range slices.Concat(p.Imports, p.Deps) {
		if matchesAny(row.Forbidden, dependency) {
			broken = append(broken, fmt.Errorf("%s may not reach %s", name, dependency))
		}
	}
	return errors.Join(broken...)
}

func (t Table) mayUseShared(row Row, imported string) bool {
	pattern, found := t.match(imported)
	return found && t[pattern].Section == sharedSection &&
		row.Section != sharedSection && row.Section != generatedSection
}

// Print writes every package with the imports that its row allows, those it has, and those of shared packages.
func (t Table) Print(w io.Writer, packages []Package) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	section := ""
	for _, p := range t.bySection(packages) {
		name := strings.TrimPrefix(p.ImportPath, module)
		pattern, _ := t.match(name)
		row := t[pattern]
		if row.Section == generatedSection {
			continue
		}
		if row.Section != section {
			section = row.Section
			fmt.Fprintf(out, "\n[%s]\n", section)
		}
		var imports, shared []string
		for _, imported := range ownImports(p) {
			if matchesAny(row.Imports, imported) {
				imports = append(imports, imported)
			} else {
				shared = append(shared, imported)
			}
		}
		fmt.Fprintf(out, "%s\n  allowed\t%s\n  imports\t%s\n  shared\t%s\n",
			name, list(row.Imports), list(imports), list(shared))
	}
	return out.Flush()
}

// bySection returns packages sorted by section and name.
func (t Table) bySection(packages []Package) []Package {
	key := func(p Package) string {
		name := strings.TrimPrefix(p.ImportPath, module)
		pattern, _ := t.match(name)
		return t[pattern].Section + " " + name
	}
	return slices.SortedFunc(slices.Values(packages), func(a, b Package) int { return cmp.Compare(key(a), key(b)) })
}

// match returns the pattern whose row applies to the package name.
func (t Table) match(name string) (pattern string, found bool) {
	if _, found := t[name]; found {
		return name, true
	}
	for pattern := range t {
		if matches(pattern, name) {
			return pattern, true
		}
	}
	return "", false
}

func ownImports(p Package) []string {
	var imports []string
	for _, path := range p.Imports {
		if name, own := strings.CutPrefix(path, module); own {
			imports = append(imports, name)
		}
	}
	return imports
}

func list(names []string) string {
	if len(names) == 0 {
		return "-"
	}
	return strings.Join(names, " ")
}

func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return matches(pattern, name) })
}

func matches(pattern, name string) bool {
	folder, all := strings.CutSuffix(pattern, "/...")
	return name == folder || all && strings.HasPrefix(name, folder+"/")
}
