package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// composeStub records its call. It has one member of etcd and both services.
const composeStub = `#!/bin/bash
echo "$*" >> "$CALLS"
case "$*" in
  "config --services") printf '%s\n' etcd cluster-state-service daemon-scheduler ;;
esac
`

// A restore starts etcd with a new data directory, which .env selects from then on, before the services start.
func TestEtcdScript_RestoreSelectsTheRestoredData(t *testing.T) {
	root := t.TempDir()
	script, stub := filepath.Join(root, "deploy/docker/etcd.sh"), filepath.Join(root, "compose")
	require.NoError(t, os.MkdirAll(filepath.Dir(script), 0o755))
	require.NoError(t, os.WriteFile(script, []byte(readText(t, "docker/etcd.sh")), 0o755))
	require.NoError(t, os.WriteFile(stub, []byte(composeStub), 0o755))
	for name, content := range map[string]string{"backup.db": "", ".env": "BLOX_UID=1000\nBLOX_ETCD_DATA=restored-1\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(content), 0o600))
	}
	command := exec.CommandContext(t.Context(), script, "restore", filepath.Join(root, "backup.db"))
	calls := filepath.Join(root, "calls")
	command.Env = append(os.Environ(), "COMPOSE="+stub, "CALLS="+calls)
	output, err := command.CombinedOutput()
	require.NoError(t, err, "%s", output)

	settings := strings.Fields(readText(t, filepath.Join(root, ".env")))
	require.Len(t, settings, 2)
	assert.Equal(t, "BLOX_UID=1000", settings[0])
	assert.Regexp(t, `^BLOX_ETCD_DATA=restored-\d{8}T\d{6}Z$`, settings[1])
	log := readText(t, calls)
	assert.Contains(t, log, "--data-dir /var/lib/etcd/"+strings.TrimPrefix(settings[1], "BLOX_ETCD_DATA="))
	assert.Regexp(t, `(?s)stop daemon-scheduler cluster-state-service etcd\n.*up -d etcd\n.*`+
		`del --prefix ecs/reconciled/\nup -d\n$`, log)
}
