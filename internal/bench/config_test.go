package bench

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestConfig_SelectsSectionsByRegexp(t *testing.T) {
	c, err := parseConfig([]string{"--run", "^reads"}, io.Discard)
	require.NoError(t, err)
	assert.True(t, c.sections.MatchString("reads-10k"))
	assert.False(t, c.sections.MatchString("ingest"))
}

func TestConfig_CreatesTheDirectoryOfProfiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	_, err := parseConfig([]string{"--profiles", dir}, io.Discard)
	require.NoError(t, err)
	assert.DirExists(t, dir)
	require.NoError(t, os.WriteFile(dir+".txt", nil, 0o600))
	_, err = parseConfig([]string{"--profiles", dir + ".txt"}, io.Discard)
	assert.ErrorContains(t, err, "--profiles")
}

func TestConfig_RejectsInvalidSettings(t *testing.T) {
	for _, args := range []string{"--run (", "--runs 0", "--pollers 101", "--time 0s", "--load 1s", "ingest"} {
		_, err := parseConfig(strings.Fields(args), io.Discard)
		assert.Error(t, err, args)
	}
}
