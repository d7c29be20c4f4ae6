package ecssim

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The tables of README.md have every fault, limited action and path of the control API.
func TestReadme_ListsFaultsLimitsAndPaths(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	readme := string(text)
	faults := reflect.TypeFor[Faults]()
	for n := range faults.NumField() {
		name, _, _ := strings.Cut(faults.Field(n).Tag.Get("json"), ",")
		row := "| `" + name + "`"
		assert.True(t, strings.Contains(readme, row) || strings.Contains(readme, ", `"+name+"` |"), "fault %s", name)
	}
	for _, bucket := range apiBuckets {
		for _, action := range bucket.actions {
			assert.Contains(t, readme, action)
		}
	}
	for code := range refusals {
		assert.Contains(t, readme, code)
	}
	source, err := os.ReadFile("control.go")
	require.NoError(t, err)
	for _, line := range strings.Split(string(source), "\n") {
		if pattern, ok := strings.CutPrefix(strings.TrimSpace(line), `handle("`); ok {
			_, path, _ := strings.Cut(pattern[:strings.IndexByte(pattern, '"')], " /_sim/")
			last := path[strings.LastIndexByte(path, '/')+1:]
			assert.True(t, strings.Contains(readme, "/_sim/"+path) || strings.Contains(readme, "…/"+last), path)
		}
	}
}
