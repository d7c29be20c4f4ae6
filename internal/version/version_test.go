package version

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestVersion_ShowsVersionAndCommit(t *testing.T) {
	defer func(version, commit string) { Version, Commit = version, commit }(Version, Commit)

	assert.Equal(t, "dev", String())
	Version, Commit = "1.0.0", "1a2b3c4"
	assert.Equal(t, "1.0.0 (1a2b3c4)", String())
	assert.Equal(t, "Blox/1.0.0", UserAgent())
}
