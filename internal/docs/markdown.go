package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Page is a Markdown file of the project.
type Page struct {
	Path string // from the root of the project
	Text string
}

// Pages returns all Markdown files below the root.
func Pages(t *testing.T, root string) (pages []Page) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "node_modules" || entry.Name() == "tmp") {
			return filepath.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(path, ".md") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, path)
		pages = append(pages, Page{Path: relative, Text: string(text)})
		return err
	}))
	return pages
}

var (
	codeFence = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	codeSpan  = regexp.MustCompile("`[^`\n]*`")
	heading   = regexp.MustCompile(`(?m)^#{1,6} (.+)$`)
	link      = regexp.MustCompile(`!?\[[^\]]*\]\(([^)\s]+)\)`)
	htmlLink  = regexp.MustCompile(`<a href="([^"]+)">`)
	linkText  = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
)

// Prose returns the text without its blocks of code.
func (p Page) Prose() string { return codeFence.ReplaceAllString(p.Text, "") }

// Anchors returns the anchors of the headings, as GitHub names them.
func (p Page) Anchors() map[string]bool {
	anchors := map[string]bool{}
	for _, found := range heading.FindAllStringSubmatch(p.Prose(), -1) {
		anchors[Anchor(strings.ReplaceAll(linkText.ReplaceAllString(found[1], "$1"), "`", ""))] = true
	}
	return anchors
}

// Links returns the targets of the links and pictures.
func (p Page) Links() (targets []string) {
	for _, found := range htmlLink.FindAllStringSubmatch(p.Prose(), -1) {
		targets = append(targets, found[1])
	}
	for _, found := range link.FindAllStringSubmatch(codeSpan.ReplaceAllString(p.Prose(), "`code`"), -1) {
		targets = append(targets, found[1])
	}
	return targets
}
