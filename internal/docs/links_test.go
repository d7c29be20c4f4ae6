package docs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/docs"
)

const root = "../.."

// brokenLinks returns the links to files and anchors of the project that do not exist, as page: link.
func brokenLinks(pages []docs.Page, exists func(path string) bool) (broken []string) {
	anchors := map[string]map[string]bool{}
	for _, p := range pages {
		anchors[p.Path] = p.Anchors()
	}
	for _, p := range pages {
		for _, target := range p.Links() {
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			file, anchor, hasAnchor := strings.Cut(target, "#")
			path := p.Path
			if file != "" {
				path = filepath.Join(filepath.Dir(p.Path), file)
			}
			ofPage, isPage := anchors[path]
			if !isPage && !exists(path) || hasAnchor && (!isPage || !ofPage[anchor]) {
				broken = append(broken, p.Path+": "+target)
			}
		}
	}
	return broken
}

func TestPages_HaveNoBrokenLinks(t *testing.T) {
	pages := docs.Pages(t, root)
	require.Greater(t, len(pages), 40)
	links := 0
	for _, p := range pages {
		links += len(p.Links())
	}
	require.Greater(t, links, 300)
	assert.Empty(t, brokenLinks(pages, func(path string) bool {
		_, err := os.Stat(filepath.Join(root, path))
		return err == nil
	}))
}

func TestBrokenLinks_FindsFilesAndAnchors(t *testing.T) {
	pages := []docs.Page{
		{Path: "a/one.md", Text: "# One\n\n## Two `words`\n\n[a](#two-words) [b](#three) [c](../two.md#x) [d](file.go)\n" +
			"[e](none.go)\n" +
			"```\n[f](in-code.md)\n```\n`[g](span.md)` [h](https://example.com/x)\n"},
		{Path: "two.md", Text: "# X\n\n[i](a/one.md#one) [j](a/one.md#x) [k](a)\n"},
	}
	exists := func(path string) bool { return path == "a/file.go" || path == "a" }
	assert.Equal(t, []string{"a/one.md: #three", "a/one.md: none.go", "two.md: a/one.md#x"}, brokenLinks(pages, exists))
}
