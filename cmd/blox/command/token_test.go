package command_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/access"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/internal/tlsconfig"
)

func TestTokenCreate_MakesATokenAndItsLine(t *testing.T) {
	h := &harness{t: t}
	out := strings.Split(h.mustRun("token", "create", "ci", "--role", "operator"), "\n")
	require.Len(t, out, 6)
	assert.Equal(t, access.File{Tokens: []access.Token{{Name: "ci", Role: access.Operator, SHA256: access.Hash(out[1])}}},
		parseFile(t, "tokens:\n"+out[4]))

	path := filepath.Join(t.TempDir(), "ci.token")
	line := h.mustRun("token", "create", "42", "--role", "admin", "--expires-after", "24h", "--out", path)
	written, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.NotContains(t, line, strings.TrimSpace(string(written)))
	entry := parseFile(t, "tokens:\n"+line).Tokens[0]
	assert.Equal(t, "42", entry.Name)
	assert.Equal(t, access.Hash(strings.TrimSpace(string(written))), entry.SHA256)
	assert.WithinDuration(t, time.Now().Add(24*time.Hour), entry.Expires, time.Minute)
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	var created struct {
		Token string
		Entry access.Token
	}
	printed := h.mustRun("token", "create", "x", "--role", "viewer", "-o", "json")
	require.NoError(t, json.Unmarshal([]byte(printed), &created))
	assert.Equal(t, access.Token{Name: "x", Role: access.Viewer, SHA256: access.Hash(created.Token)}, created.Entry)

	for _, tc := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"ci"}, 2, `--role: role "": must be viewer, operator or admin`},
		{[]string{"ci", "--role", "root"}, 2, `--role: role "root": must be viewer, operator or admin`},
		{[]string{"a b", "--role", "viewer"}, 2, `name "a b": must be 1 to 64 letters`},
		{[]string{"ci", "--role", "viewer", "--expires-after", "-1h"}, 2, "--expires-after -1h0m0s: must not be negative"},
		{[]string{"ci", "--role", "viewer", "--out", path}, 1, path + " exists: choose another file"},
	} {
		r := h.run(append([]string{"token", "create"}, tc.args...)...)
		assert.Equal(t, tc.code, r.code, tc.args)
		assert.Contains(t, r.err, tc.want)
	}
}

func parseFile(t *testing.T, text string) access.File {
	t.Helper()
	f, err := access.ParseFile([]byte(text))
	require.NoError(t, err, text)
	return f
}

// protected is a harness whose services require roles, and a folder with the files of the tokens viewer, operator and
// admin.
func protected(t *testing.T) (h *harness, folder string) {
	h = newHarnessWithoutServices(t)
	folder = t.TempDir()
	lines := "tokens:\n"
	for _, role := range access.RoleNames {
		lines += h.mustRun("token", "create", role, "--role", role, "--out", filepath.Join(folder, role))
	}
	file := filepath.Join(folder, "access.yml")
	require.NoError(t, os.WriteFile(file, []byte(lines), 0o600))
	h.services = map[string]string{
		"CSS_ACCESS_FILE": file, "DS_ACCESS_FILE": file, "DS_CSS_TOKEN_FILE": filepath.Join(folder, "operator"),
	}
	h.environment["BLOX_TOKEN_FILE"] = filepath.Join(folder, "admin")
	h.startServices(tlsconfig.Files{})
	return h, folder
}

func TestToken_IsSentToBothServices(t *testing.T) {
	h, folder := protected(t)
	h.prepareCluster(1)
	h.mustRun("environments", "create", "web-agent", "--cluster", "default", "--task-definition", "agent")
	delete(h.environment, "BLOX_TOKEN_FILE")
	status := func(args ...string) (code int, text string) {
		r := h.run(args...)
		return r.code, r.err
	}
	code, text := status("environments", "list")
	assert.Equal(t, 1, code)
	assert.Contains(t, text, "rejected the request: The request has no credentials")
	assert.Contains(t, text, "--token-file FILE")

	viewer, operator := filepath.Join(folder, "viewer"), filepath.Join(folder, "operator")
	h.mustRun("environments", "list", "--token-file", viewer)
	h.mustRun("clusters", "list", "--token-file", viewer)
	code, text = status("deployments", "create", "web-agent", "--token-file", viewer)
	assert.Equal(t, 1, code)
	assert.Contains(t, text,
		"viewer has the role viewer; POST /v1/environments/web-agent/deployments needs the role operator")
	assert.Contains(t, text, "Use a token of that role")
	secret, err := os.ReadFile(operator)
	require.NoError(t, err)
	h.environment["BLOX_TOKEN"] = string(secret)
	assert.Equal(t, 0, h.run("deployments", "create", "web-agent", "--watch").code)
	stream := h.start("stream", "instances", "--heartbeat", "1", "-o", "json")
	stream.awaitOutput("entityVersion")
	stream.interrupt()
	assert.Equal(t, 0, stream.awaitExit())
	assert.Equal(t, 0, h.run("probe", "--read-only", "--once").code)
	testenv.Eventually(t, func() bool {
		return strings.Contains(h.mustRun("events", "-o", "json"), `"actor": "operator"`)
	}, "no event names the token")
	code, text = status("environments", "delete", "web-agent", "--yes")
	assert.Equal(t, 1, code)
	assert.Contains(t, text, "operator has the role operator; DELETE /v1/environments/web-agent needs the role admin")
	admin := filepath.Join(folder, "admin")
	r := h.run("environments", "delete", "web-agent", "--yes", "--token-file", admin)
	assert.Equal(t, 0, r.code, "the flag takes precedence")

	h.environment["BLOX_TOKEN"] = "two words"
	_, text = status("environments", "list")
	assert.Contains(t, text, "BLOX_TOKEN: not a token")
	delete(h.environment, "BLOX_TOKEN")
	_, text = status("environments", "list", "--token-file", folder+"/missing")
	assert.Contains(t, text, "--token-file: open "+folder+"/missing")
	code, text = status("environments", "list", "--token-file", viewer, "--sigv4")
	assert.Equal(t, 2, code)
	assert.Contains(t, text, "--sigv4 and a token are mutually exclusive")
}

func TestToken_OfAContext(t *testing.T) {
	h, folder := protected(t)
	viewer, config := filepath.Join(folder, "viewer"), filepath.Join(folder, "config.yml")
	endpoints := []string{"--endpoint", h.environment["BLOX_ENDPOINT"], "--css-endpoint", h.environment["BLOX_CSS_ENDPOINT"]}
	h.environment = map[string]string{"BLOX_CONFIG": config}
	h.mustRun(append([]string{"context", "set", "prod", "--token-file", viewer}, endpoints...)...)
	h.mustRun("environments", "list")
	assert.Contains(t, h.mustRun("context", "list", "-o", "wide"), viewer)
	r := h.run(append([]string{"environments", "list"}, endpoints...)...)
	assert.Contains(t, r.err, "has no credentials", "the token of a context is for its own endpoints")

	require.NoError(t, os.Chmod(viewer, 0o644))
	assert.Contains(t, h.run("clusters", "list").err, "Warning: other users may access "+viewer)
	require.NoError(t, os.Chmod(viewer, 0o600))
	assert.NotContains(t, h.run("clusters", "list").err, "Warning")

	secret, err := os.ReadFile(viewer)
	require.NoError(t, err)
	text, err := os.ReadFile(config)
	require.NoError(t, err)
	inline := strings.Replace(string(text), "tokenFile: "+viewer, "token: "+strings.TrimSpace(string(secret)), 1)
	require.NotEqual(t, string(text), inline)
	require.NoError(t, os.WriteFile(config, []byte(inline), 0o644))
	require.NoError(t, os.Chmod(config, 0o644))
	r = h.run("environments", "list")
	assert.Equal(t, 0, r.code)
	assert.Contains(t, r.err, "Warning: other users may access "+config)
	assert.NotContains(t, h.mustRun("context", "list", "-o", "json"), strings.TrimSpace(string(secret)))
	h.mustRun("context", "set", "prod", "--timeout", "20s") // rewrites the file
	assert.NotContains(t, h.run("environments", "list").err, "Warning", "blox writes the file for its owner only")
	testenv.Eventually(t, func() bool { return h.run("status").code == 0 })
}
