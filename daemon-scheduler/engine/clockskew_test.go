package engine

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/store"
)

func TestCorrectSkew_LimitsTheDelaysOfAClockThatIsAhead(t *testing.T) {
	leader := newLeaderState(store.Term{})
	defer leader.close()
	now := time.Now().UTC().Round(0)
	failed := environment.Launch{
		Instance: "i1", State: environment.LaunchFailed, Reason: "AGENT", StoredVersion: 7,
		NotAfter: now.Add(time.Hour), NextAttemptAt: now.Add(time.Hour + 10*time.Second),
	}
	plausible := environment.Launch{
		Instance: "i2", State: environment.LaunchFailed, Reason: "AGENT", StoredVersion: 7,
		NotAfter: now.Add(environment.LaunchWindow), NextAttemptAt: now.Add(longestLaunchDelay),
	}
	correctedAt := func(at time.Time) map[string]environment.Launch {
		launches := map[string]environment.Launch{"i1": failed, "i2": plausible}
		corrected := leader.correctSkew("logs", launches, at)
		assert.Equal(t, map[string]environment.Launch{"i1": failed, "i2": plausible}, launches, "the cache's own map")
		return corrected
	}
	for _, at := range []time.Time{now, now.Add(4 * time.Minute)} {
		corrected := correctedAt(at)
		assert.Equal(t, now.Add(environment.LaunchWindow), corrected["i1"].NotAfter)
		assert.Equal(t, now.Add(longestLaunchDelay), corrected["i1"].NextAttemptAt)
		assert.Equal(t, plausible, corrected["i2"])
	}
	failed.StoredVersion = 8
	assert.Equal(t, now.Add(time.Minute+longestLaunchDelay), correctedAt(now.Add(time.Minute))["i1"].NextAttemptAt)
	failed.NotAfter, failed.NextAttemptAt = plausible.NotAfter, plausible.NextAttemptAt
	assert.Equal(t, failed, correctedAt(now)["i1"])
	assert.Empty(t, leader.skewed)
}

// The replica that announced a launch and the one that recorded its outcome have clocks of their own.
func TestCorrectSkew_CorrectsEachTimeByItself(t *testing.T) {
	now := time.Now().UTC().Round(0)
	const skew = time.Hour
	right := environment.Launch{
		Instance: "i1", State: environment.LaunchFailed, StoredVersion: 7,
		NotAfter: now.Add(environment.LaunchWindow), NextAttemptAt: now.Add(longestLaunchDelay),
	}
	for name, change := range map[string]func(l *environment.Launch){
		"announced by a clock ahead": func(l *environment.Launch) { l.NotAfter = l.NotAfter.Add(skew) },
		"recorded by a clock ahead":  func(l *environment.Launch) { l.NextAttemptAt = l.NextAttemptAt.Add(skew) },
	} {
		t.Run(name, func(t *testing.T) {
			leader := newLeaderState(store.Term{})
			defer leader.close()
			skewed := right
			change(&skewed)
			corrected := leader.correctSkew("logs", map[string]environment.Launch{"i1": skewed}, now)
			assert.Equal(t, right, corrected["i1"])
		})
	}
}
