package docs_test

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	namedFile = regexp.MustCompile("`([a-zA-Z][\\w/.-]*\\.(?:go|json|md|txt))`")
	namedTest = regexp.MustCompile(`\bTest[A-Z]\w*_\w+`)
)

// missingFiles returns the files that a list item names and that do not exist. After its first file, an item names
// files from the folder of that file, or from the service.
func missingFiles(markdown string, exists func(file string) bool) (missing []string) {
	for _, item := range listItem.FindAllString(markdown, -1) {
		first := ""
		for _, match := range namedFile.FindAllStringSubmatch(item, -1) {
			file := match[1]
			service, _, _ := strings.Cut(first, "/")
			found := exists(file) || exists(path.Join(service, file)) || exists(path.Join(path.Dir(first), file))
			if !found {
				missing = append(missing, file)
			}
			if first == "" {
				first = file
			}
		}
	}
	return missing
}

func TestMissingFiles_ResolvesShortNames(t *testing.T) {
	files := map[string]bool{"css/state/a.go": true, "css/state/b.go": true, "css/api/c.go": true}
	markdown := "1. `css/state/a.go`: add it. `b.go`: test it. `api/c.go`,\n   `api/gone.go`: encode it.\n2. `b.go`: alone\n"
	missing := missingFiles(markdown, func(file string) bool { return files[file] })
	assert.Equal(t, []string{"api/gone.go", "b.go"}, missing)
}

// contributing returns the text of CONTRIBUTING.md from a heading on.
func contributing(t *testing.T, heading string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, ".github", "CONTRIBUTING.md"))
	require.NoError(t, err)
	_, section, found := strings.Cut(string(text), "\n"+heading+"\n")
	require.True(t, found, heading)
	return section
}

func TestContributing_RecipesNameFilesThatExist(t *testing.T) {
	missing := missingFiles(contributing(t, "## Recipes"), func(file string) bool {
		_, err := os.Stat(filepath.Join(root, file))
		return err == nil
	})
	assert.Empty(t, missing)
}

// The tests that the page names exist. A name that ends before a test's does is a prefix for -run.
func TestContributing_NamesTestsThatExist(t *testing.T) {
	missing := map[string]bool{}
	for _, name := range namedTest.FindAllString(contributing(t, "## Tests"), -1) {
		missing[name] = name != "TestSubject_Behaviour" // the pattern of all names
	}
	require.NoError(t, filepath.WalkDir(root, func(file string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(file, "_test.go") {
			return err
		}
		source, err := os.ReadFile(file)
		for name := range missing {
			missing[name] = missing[name] && !strings.Contains(string(source), "\nfunc "+name)
		}
		return err
	}))
	for name := range missing {
		assert.False(t, missing[name], "no test has the name %s", name)
	}
}
