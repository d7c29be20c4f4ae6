package testclock

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A mutated file reaches the programs through the overlay in GOFLAGS.
func TestBuild_KeepsTheOverlayOfGOFLAGS(t *testing.T) {
	list := filepath.Join(t.TempDir(), "overlay.json")
	require.NoError(t, os.WriteFile(list, []byte(`{"Replace":{"/module/a.go":"/changed/a.go"}}`), 0o644))
	t.Setenv("GOFLAGS", "-trimpath -overlay="+list)
	inherited, err := inheritedOverlay(t.Context())
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"/module/a.go": "/changed/a.go"}, inherited)

	t.Setenv("GOFLAGS", "-trimpath")
	inherited, err = inheritedOverlay(t.Context())
	require.NoError(t, err)
	assert.Equal(t, map[string]string{}, inherited)
}
