package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The steps of "Verify the files" accept a signed release, print what the page shows, and reject changed files.
func TestVerifyReleases_StepsWork(t *testing.T) {
	for _, tool := range []string{"ssh-keygen", "jq", "sha256sum"} {
		if _, err := exec.LookPath(tool); err != nil && os.Getenv("CI") != "true" {
			t.Skipf("no %s on the PATH", tool)
		}
	}
	dir := signedRelease(t)
	steps := verificationSteps(t)
	require.Len(t, steps, 6)
	for _, s := range steps {
		out, err := bash(t, dir, s.commands)
		require.NoError(t, err, "%s\n%s", s.commands, out)
		assert.Contains(t, out, s.output)
	}
	t.Run("changed checksums", func(t *testing.T) {
		dir := signedRelease(t)
		appendTo(t, filepath.Join(dir, "SHA256SUMS"), "0  x\n")
		_, err := bash(t, dir, steps[0].commands)
		assert.Error(t, err)
	})
	t.Run("another key", func(t *testing.T) {
		dir := signedRelease(t)
		other := signedRelease(t)
		require.NoError(t, os.Rename(filepath.Join(other, "release-signers"), filepath.Join(dir, "release-signers")))
		_, err := bash(t, dir, steps[0].commands)
		assert.Error(t, err)
	})
	t.Run("a changed archive", func(t *testing.T) {
		dir := signedRelease(t)
		appendTo(t, filepath.Join(dir, "blox-v1.2.3-linux-amd64.tar.gz"), "x")
		_, err := bash(t, dir, steps[1].commands)
		assert.Error(t, err)
	})
	t.Run("a changed program", func(t *testing.T) {
		appendTo(t, filepath.Join(dir, "blox-v1.2.3-linux-amd64", "blox"), "x")
		_, err := bash(t, dir, steps[3].commands)
		assert.Error(t, err)
	})
}

// signedRelease returns a folder with the release, signed with a new key by `make sign`, and the file with this key.
func signedRelease(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files(t) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	key := filepath.Join(t.TempDir(), "key")
	makefile, err := os.ReadFile(filepath.Join(top, "Makefile"))
	require.NoError(t, err)
	_, recipe, _ := strings.Cut(string(makefile), "\nsign: ")
	recipe = strings.Split(recipe, "\n")[1]
	recipe = strings.NewReplacer("$(KEY)", key, "dist/", dir+"/").Replace(recipe)
	require.Contains(t, recipe, "ssh-keygen -Y sign")
	out, err := bash(t, dir, "ssh-keygen -q -t ed25519 -N '' -f "+key+"\n"+recipe)
	require.NoError(t, err, out)

	public, err := os.ReadFile(key + ".pub")
	require.NoError(t, err)
	signers, err := os.ReadFile(filepath.Join(top, ".github/release-signers"))
	require.NoError(t, err)
	line := regexp.MustCompile(`(?m)^# (blox-releases .*) AAAA…$`).FindSubmatch(signers)
	require.NotNil(t, line, "release-signers shows the form of a line")
	options := strings.TrimSuffix(string(line[1]), "ssh-ed25519")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "release-signers"),
		[]byte(string(signers)+options+string(public)), 0o600))
	return dir
}

type step struct{ commands, output string }

// verificationSteps returns the command blocks of the section, with the block of their output, if any.
func verificationSteps(t *testing.T) (steps []step) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(top, "deploy/docs/verify-releases.md"))
	require.NoError(t, err)
	_, section, found := strings.Cut(string(page), "## Verify the files")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	for _, item := range regexp.MustCompile(`(?m)^\d+\. `).Split(section, -1)[1:] {
		blocks := regexp.MustCompile("(?s)\n   ```\n(.*?)\n   ```").FindAllStringSubmatch(item, -1)
		require.NotEmpty(t, blocks, item)
		s := step{commands: blocks[0][1]}
		if len(blocks) > 1 {
			s.output = strings.TrimSpace(blocks[1][1])
		}
		steps = append(steps, s)
	}
	for i := range steps {
		steps[i].commands = strings.ReplaceAll(steps[i].commands, "v0.4.0", "v1.2.3")
		steps[i].output = strings.ReplaceAll(steps[i].output, "v0.4.0", "v1.2.3")
	}
	return steps
}

func bash(t *testing.T, dir, commands string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", commands)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = file.WriteString(text)
	require.NoError(t, err)
	require.NoError(t, file.Close())
}
