package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestCompactionTarget_KeepsRetention(t *testing.T) {
	start := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	at := func(minutes int, revision, changes int64) sample {
		return sample{start.Add(time.Duration(minutes) * time.Minute), revision, changes}
	}
	for name, tc := range map[string]struct {
		samples []sample
		want    int64
		left    int
	}{
		"no sample is old enough":                  {[]sample{at(0, 10, 0), at(4, 20, 10)}, 0, 2},
		"the first sample is five minutes old":     {[]sample{at(0, 10, 0), at(4, 20, 10), at(5, 30, 20)}, 10, 3},
		"the newest expired sample is the target":  {[]sample{at(0, 10, 0), at(4, 20, 10), at(10, 30, 20)}, 20, 2},
		"too many records since the first sample":  {[]sample{at(0, 10, 0), at(1, 20, 200_000), at(2, 30, 400_000)}, 10, 3},
		"too many records since the second sample": {[]sample{at(0, 10, 0), at(1, 20, 50_000), at(2, 30, 400_000)}, 20, 2},
	} {
		t.Run(name, func(t *testing.T) {
			target, left := compactionTarget(tc.samples, 5*time.Minute)
			assert.Equal(t, tc.want, target)
			assert.Len(t, left, tc.left)
		})
	}
}
