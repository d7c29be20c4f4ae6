package reconcile

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

// This machine's clock is an hour ahead, so that new records look old. ECS's response does not contain the task yet.
func TestReconciler_KeepsNewRecordsThatAWrongClockMakesOld(t *testing.T) {
	const ahead = time.Hour
	f := newFixture(t, ecssim.Config{})
	f.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(-ahead).UTC().Format(http.TimeFormat))
		f.ServeHTTP(w, r)
	}))
	f.AddInstances("prod", 1)
	recent := f.task(local, "recent", "RUNNING", ahead+removalAge/2)
	old := f.task(local, "old", "RUNNING", ahead+2*removalAge)
	f.start(Config{Interval: time.Hour})
	testenv.Eventually(t, func() bool { return f.stored(old) == nil }, "ECS does not know the old task")
	assert.NotNil(t, f.stored(recent))
}
