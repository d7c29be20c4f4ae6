package main

import (
	"path"
	"regexp"
	"strings"
)

// Kind is the use of a text. A rule of Vale can hold for one kind, because it is the name of a folder.
type Kind string

const (
	errorText  Kind = "error"
	logMessage Kind = "log"
	other      Kind = "text" // help, reasons, descriptions
	noText     Kind = ""     // regular expressions
)

// Text is a text of the project, and where it stands.
type Text struct {
	Path string
	Line int
	Kind Kind
	Text string
}

// extractors return the texts of a file. The first pattern that matches a path decides.
var extractors = []struct {
	paths   *regexp.Regexp
	extract func(path string, source []byte) ([]Text, error)
}{
	{regexp.MustCompile(`(^|/)testdata/|_test\.(go|yml)$|^swagger/.*/(client|models)/|/openapi\.json$`), nil},
	{regexp.MustCompile(`^internal/(layers|names|prose|testenv)/`), nil}, // no user reads their texts
	{regexp.MustCompile(`\.go$`), goTexts},
	{regexp.MustCompile(`(/swagger|^deploy/monitoring/dashboards/.*)\.json$`), jsonTexts},
	{regexp.MustCompile(`\.yml$`), yamlTexts},
	{regexp.MustCompile(`/static/[^/]*\.js$`), scriptTexts},
}

// textsOf returns the texts of a file that are sentences or parts of one.
func textsOf(name string, source []byte) ([]Text, error) {
	for _, e := range extractors {
		if !e.paths.MatchString(name) {
			continue
		}
		if e.extract == nil {
			return nil, nil
		}
		all, err := e.extract(name, source)
		var texts []Text
		for _, text := range all {
			if isProse(text.Text) {
				texts = append(texts, text)
			}
		}
		return texts, err
	}
	return nil, nil
}

// isDocument reports whether Vale reads the file as it is.
func isDocument(name string) bool {
	return path.Ext(name) == ".md" || path.Ext(name) == ".html" && strings.Contains(name, "/static/")
}

var (
	words       = regexp.MustCompile(`\b[A-Za-z]{2,}\b`)
	markup      = regexp.MustCompile(`^\s*[<{]`)
	exampleLine = regexp.MustCompile(`(?m)^(  |\t).*$`)
)

// isProse reports whether a literal has words enough for a sentence, and is no JSON, HTML or template.
func isProse(text string) bool {
	return strings.Contains(text, " ") && len(words.FindAllString(text, 3)) == 3 && !markup.MatchString(text)
}

// markdown returns a text as Vale reads it: an indented line of help is an example, as a code block is.
func markdown(text string) string {
	return exampleLine.ReplaceAllString(text, "") + "\n"
}
