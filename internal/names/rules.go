// Package names holds the names that the project has replaced, in names.txt.
// Its test, which `make names` runs, fails when one of them is declared again.
package names

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

//go:embed names.txt
var rulesText string

// Kind is a kind of declaration, or a set of kinds in a rule.
type Kind string

// Kinds of declarations.
const (
	Package Kind = "package"
	File    Kind = "file"
	Type    Kind = "type"
	Func    Kind = "func"  // a function or a method
	Const   Kind = "const" // at package level
	Var     Kind = "var"   // at package level
	Field   Kind = "field" // of a struct
	Local   Kind = "local" // a local variable, constant or type, or a parameter
	Flag    Kind = "flag"
	Command Kind = "command"
	Metric  Kind = "metric"
	API     Kind = "api"
)

// topKinds and anyKinds are what the kinds "top" and "any" of a rule stand for.
var (
	topKinds = []Kind{Type, Func, Const, Var, Field}
	anyKinds = append(slices.Clone(topKinds), Local)
	rowKinds = map[string][]Kind{
		"any":     anyKinds,
		"top":     topKinds,
		"word":    append(slices.Clone(anyKinds), Package, File, Flag, Command, API),
		"package": {Package},
		"file":    {File},
		"type":    {Type},
		"func":    {Func},
		"var":     {Var, Local},
		"flag":    {Flag},
		"command": {Command},
		"metric":  {Metric},
		"api":     {API},
	}
	wordRows = []string{"word", "metric", "api"}
)

// Declaration is one declared name.
type Declaration struct {
	Kind Kind
	Name string
	Path string // slash-separated, relative to the module's root
	Line int
}

func (d Declaration) message(text string) string {
	return fmt.Sprintf("%s:%d: %s %s: %s", d.Path, d.Line, d.Kind, d.Name, text)
}

// Rule forbids names of some kinds in some folders.
type Rule struct {
	Areas   []string // folders or files
	Kinds   []Kind
	Names   []string
	AsWords bool   // Names are words of a name, not whole names
	Use     string // the name to use
}

// Exception allows one name in one file.
type Exception struct {
	Path, Name, Reason string
}

// Rules is the content of names.txt.
type Rules struct {
	Rules      []Rule
	Exceptions []Exception
}

// ParseRules reads rules in the form that names.txt documents.
func ParseRules(text string) (Rules, error) {
	var rules Rules
	var areas []string
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			areas = strings.Fields(strings.Trim(line, "[]"))
		case strings.HasPrefix(line, "except "):
			exception, err := parseException(line)
			if err != nil {
				return Rules{}, fmt.Errorf("line %d: %w", i+1, err)
			}
			rules.Exceptions = append(rules.Exceptions, exception)
		default:
			rule, err := parseRule(line)
			if err != nil {
				return Rules{}, fmt.Errorf("line %d: %w", i+1, err)
			}
			if len(areas) == 0 {
				return Rules{}, fmt.Errorf("line %d: %q stands above the first [folder]", i+1, line)
			}
			rule.Areas = areas
			rules.Rules = append(rules.Rules, rule)
		}
	}
	return rules, nil
}

func parseRule(line string) (Rule, error) {
	kind, rest, hasKind := strings.Cut(line, ":")
	names, use, hasUse := strings.Cut(rest, "->")
	kinds := rowKinds[kind]
	if !hasKind || !hasUse || kinds == nil || len(strings.Fields(names)) == 0 || strings.TrimSpace(use) == "" {
		return Rule{}, fmt.Errorf("%q: want `kind: names -> the name to use`", line)
	}
	return Rule{
		Kinds: kinds, Names: strings.Fields(names), AsWords: slices.Contains(wordRows, kind), Use: strings.TrimSpace(use),
	}, nil
}

func parseException(line string) (Exception, error) {
	what, reason, _ := strings.Cut(line, ":")
	fields := strings.Fields(what)
	reason = strings.TrimSpace(reason)
	if len(fields) != 3 || reason == "" {
		return Exception{}, fmt.Errorf("%q: want `except path name: reason`", line)
	}
	return Exception{Path: fields[1], Name: fields[2], Reason: reason}, nil
}

// Check returns a message for every declaration that a rule forbids, and for every exception that allows nothing.
func (r Rules) Check(declarations []Declaration) []string {
	var messages []string
	used := map[Exception]bool{}
	for _, d := range declarations {
		for _, rule := range r.Rules {
			name, forbidden := rule.forbids(d)
			if !forbidden {
				continue
			}
			if exception, found := r.exception(d); found {
				used[exception] = true
				continue
			}
			messages = append(messages, d.message(fmt.Sprintf("replace %q by: %s", name, rule.Use)))
		}
		if message := checkMetricPrefix(d); message != "" {
			messages = append(messages, message)
		}
	}
	for _, exception := range r.Exceptions {
		if !used[exception] {
			messages = append(messages, fmt.Sprintf("names.txt: except %s %s: nothing to allow", exception.Path, exception.Name))
		}
	}
	return messages
}

func (r Rules) exception(d Declaration) (Exception, bool) {
	i := slices.IndexFunc(r.Exceptions, func(e Exception) bool { return e.Path == d.Path && e.Name == d.Name })
	if i < 0 {
		return Exception{}, false
	}
	return r.Exceptions[i], true
}

// forbids returns the name of the rule that the declaration has.
func (r Rule) forbids(d Declaration) (name string, forbidden bool) {
	inArea := slices.ContainsFunc(r.Areas, func(area string) bool { return isBelow(d.Path, area) })
	if !inArea || !slices.Contains(r.Kinds, d.Kind) {
		return "", false
	}
	for _, name := range r.Names {
		if sameName(name, d.Name) || r.AsWords && containsWords(words(d.Name), words(name)) {
			return name, true
		}
	}
	return "", false
}

// sharedMetrics are the folders whose metrics get the prefix of the service that registers them.
var sharedMetrics = []string{
	"internal/httpserver", "internal/httpstream", "internal/awsconfig", "internal/etcd", "internal/ratelimit",
	"internal/access", "internal/tlsconfig",
}

var metricPrefixes = []string{"blox_css_", "blox_ds_", "blox_probe_"}

// buildInfo has the same name in every program, so that one query shows all versions.
const buildInfo = "blox_build_info"

func checkMetricPrefix(d Declaration) string {
	if d.Kind != Metric || d.Name == buildInfo {
		return ""
	}
	hasPrefix := slices.ContainsFunc(metricPrefixes, func(prefix string) bool {
		return strings.HasPrefix(d.Name, prefix)
	})
	shared := slices.ContainsFunc(sharedMetrics, func(folder string) bool { return isBelow(d.Path, folder) })
	switch {
	case shared && strings.HasPrefix(d.Name, "blox_"):
		return d.message("a shared package's metric has no prefix of its own")
	case !shared && !hasPrefix:
		return d.message("want one of the prefixes " + strings.Join(metricPrefixes, " "))
	}
	return ""
}

func isBelow(path, area string) bool {
	return area == "." || path == area || strings.HasPrefix(path, area+"/")
}

// sameName compares names without regard to the case of the first letter.
func sameName(a, b string) bool {
	return a != "" && b != "" && strings.EqualFold(a[:1], b[:1]) && a[1:] == b[1:]
}

// words splits camelCase, snake_case, kebab-case and paths into lower-case words.
func words(name string) []string {
	var all []string
	var word []rune
	end := func() {
		if len(word) > 0 {
			all = append(all, strings.ToLower(string(word)))
		}
		word = nil
	}
	runes := []rune(name)
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			end()
			continue
		case startsWord(runes, i):
			end()
		}
		word = append(word, r)
	}
	end()
	return all
}

// startsWord reports whether a word begins at the letter i: an upper-case one after a lower-case one, as in camelCase,
// or the last of an acronym, as in ECSCluster.
func startsWord(runes []rune, i int) bool {
	if i == 0 || !unicode.IsUpper(runes[i]) {
		return false
	}
	return !unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])
}

func containsWords(all, some []string) bool {
	for i := 0; i+len(some) <= len(all); i++ {
		if slices.Equal(all[i:i+len(some)], some) {
			return true
		}
	}
	return false
}
