package etcd

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestProgressIsOrdered_ByVersion(t *testing.T) {
	for version, want := range map[string]bool{
		"": false, "unknown": false, "3.0.15": false, "3.4.23": false, "3.4.25": true, "3.4.30": true,
		"3.5.0": false, "3.5.7": false, "3.5.8": true, "3.6.0": true, "3.7.3": true,
	} {
		assert.Equal(t, want, progressIsOrdered(version), version)
	}
}
