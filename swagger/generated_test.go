// Package swagger_test compares the generated code with the swagger files.
package swagger_test

import (
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Fails when a swagger file was changed without `make generate`, or generated code by hand.
func TestGeneratedCode_MatchesTheSwaggerFiles(t *testing.T) {
	tool, err := exec.Command("go", "tool", "-modfile=../internal/tools/swagger/go.mod", "-n", "swagger").Output()
	require.NoError(t, err)
	for _, api := range []string{"cluster-state-service", "daemon-scheduler"} {
		t.Run(api, func(t *testing.T) {
			// A module of the same name elsewhere, so that import paths come out the same.
			root := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(root, "go.mod"), []byte("module github.com/blox/blox\n"), 0o644))
			target := filepath.Join("swagger", api, "v1")
			require.NoError(t, os.MkdirAll(filepath.Join(root, target), 0o755))
			spec, err := os.ReadFile(filepath.Join(api, "v1", "swagger.json"))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(root, target, "swagger.json"), spec, 0o644))

			generate := exec.Command(strings.TrimSpace(string(tool)), "generate", "client", "--quiet", "--skip-tag-packages",
				"--name="+api, "--spec="+filepath.Join(target, "swagger.json"), "--target="+target)
			generate.Dir = root
			out, err := generate.CombinedOutput()
			require.NoError(t, err, "%s", out)

			for _, folder := range []string{"client", "models"} {
				want := goFiles(t, filepath.Join(root, target, folder))
				assert.NotEmpty(t, want)
				have := goFiles(t, filepath.Join(api, "v1", folder))
				assert.ElementsMatch(t, slices.Collect(maps.Keys(want)), slices.Collect(maps.Keys(have)), "run `make generate`")
				for path := range want {
					assert.True(t, want[path] == have[path], "%s/%s is outdated: run `make generate`", folder, path)
				}
			}
		})
	}
}

// goFiles returns the files below dir by their path.
func goFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := os.ReadFile(filepath.Join(dir, path))
		files[path] = string(body)
		return err
	}))
	return files
}
