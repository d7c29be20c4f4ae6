package api

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/events"
)

func TestParameters_NameTheOffendingValueAndTheAcceptedOnes(t *testing.T) {
	for name, tc := range map[string]struct {
		query, err string
		parse      func(*http.Request) error
	}{
		"type": {"type=NO", `Invalid type "NO": must be ROLLBACK or ABORT`, func(r *http.Request) error {
			_, err := stopKind(r)
			return err
		}},
		"heartbeat": {"heartbeat=301", `Invalid heartbeat "301": must be 1 to 300 seconds`, func(r *http.Request) error {
			_, err := heartbeatParameter(r)
			return err
		}},
		"revision": {"revision=0", `Invalid revision "0": must be a whole number of 1 or more`, func(r *http.Request) error {
			_, err := revisionParameter(r)
			return err
		}},
		"limit": {"limit=0", `Invalid limit "0": must be 1 to 1000`, func(r *http.Request) error {
			_, err := limitParameter(r)
			return err
		}},
		"environmentType": {
			"environmentType=daemon", `Invalid environmentType "daemon": must be DAEMON`, readEnvironmentFilter,
		},
		"account": {"account=prod", `Invalid account "prod": must be account IDs of 12 digits`, readEnvironmentFilter},
		"region": {
			"region=!eu-west-1,paris", `Invalid region "!eu-west-1,paris": must be regions such as eu-west-1`,
			readEnvironmentFilter,
		},
		"environment": {
			"environment=a/b", `Invalid environment "a/b": must be 1 to 30 letters, digits, hyphens and underscores`,
			readEventFilter,
		},
		"one of several environments": {
			"environment=a,,b", `Invalid environment "": must be 1 to 30 letters, digits, hyphens and underscores`,
			readEventFilter,
		},
		"instance": {
			"instance=i-0123", `Invalid instance "i-0123": must be the ARN or the ID of a container instance`, readEventFilter,
		},
		"deployment": {"deployment=D", `Invalid deployment "D": must be a lower-case UUID`, readEventFilter},
		"since": {
			"since=yesterday", `Invalid since "yesterday": must be a time such as 2026-01-31T13:00:00Z`, readEventFilter,
		},
		"until": {"until=1", `Invalid until "1": must be a time such as 2026-01-31T13:00:00Z`, readEventFilter},
		"until before since": {
			"since=2026-01-31T13:00:00Z&until=2026-01-31T13:00:00Z",
			`Invalid until "2026-01-31T13:00:00Z": must be after since`, readEventFilter,
		},
		"action": {
			"action=taskStarted,taskstarted", `Invalid action "taskstarted": must be one of taskStarted, taskReplaced, ` +
				`taskFailed, taskStartFailed, taskStopped, taskStopFailed, phantomTaskIgnored, deploymentStarted, ` +
				`canaryStepPromoted, deploymentCompleted, deploymentFailed, deploymentRolledBack, environmentDeleted, ` +
				`conditionAppeared, conditionCleared, eventsDropped, environmentCreated, environmentUpdated, ` +
				`deploymentCreated, environmentPaused, environmentResumed, rollbackRequested, deploymentStopped, ` +
				`deploymentPromoted, takeoverCancelled, environmentDeletionRequested`, readEventFilter,
		},
		"entityVersion": {
			"entityVersion=12", `Invalid entityVersion "12": must be the entityVersion of a list or of a line`,
			func(r *http.Request) error {
				_, err := positionParameter(r)
				return err
			},
		},
		"nextToken": {"nextToken=x", `Invalid nextToken "x": must be the nextToken of a response`,
			func(r *http.Request) error {
				_, err := pageParameter(r)
				return err
			}},
	} {
		t.Run(name, func(t *testing.T) {
			err := tc.parse(httptest.NewRequest("GET", "/?"+tc.query, nil))
			assert.ErrorIs(t, err, errInvalid)
			assert.EqualError(t, err, tc.err)
			assert.NoError(t, tc.parse(httptest.NewRequest("GET", "/", nil)))
		})
	}
}

func readEventFilter(r *http.Request) error {
	_, err := eventFilter(r)
	return err
}

func readEnvironmentFilter(r *http.Request) error {
	_, err := environmentFilter(r.URL.Query())
	return err
}

func TestEnvironmentFilter_MatchesClusterAccountAndRegion(t *testing.T) {
	const name, clusterARN = "prod", "arn:aws:ecs:eu-west-1:123456789012:cluster/prod"
	e := environment.New("logs", clusterARN, "arn:td:1", "")
	malformed := environment.New("old", name, "arn:td:1", "")
	for query, want := range map[string][2]bool{ // whether they match
		"":                                      {true, true},
		"cluster=&account=&region=":             {true, true},
		"cluster=prod":                          {true, false},
		"cluster=" + clusterARN:                 {true, false},
		"cluster=test":                          {false, false},
		"region=eu-west-1,us-east-1":            {true, false},
		"region=!eu-west-1":                     {false, false},
		"account=123456789012":                  {true, false},
		"account=!123456789012":                 {false, false},
		"account=!210987654321&cluster=prod":    {true, false},
		"account=123456789012&region=us-east-1": {false, false},
	} {
		values, err := url.ParseQuery(query)
		assert.NoError(t, err)
		matches, err := environmentFilter(values)
		assert.NoError(t, err, query)
		assert.Equal(t, want, [2]bool{matches(e), matches(malformed)}, query)
	}
}

func TestEventFilter_ReadsEveryParameter(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef"
	query := url.Values{
		"environment": {"logs,metrics"}, "cluster": {"prod,arn:aws:ecs:us-east-1:123456789012:cluster/test"},
		"action": {"taskStarted,environmentPaused"}, "instance": {id}, "since": {"2026-01-31T13:00:00Z"},
		"deployment": {"01234567-89ab-cdef-0123-456789abcdef"}, "actor": {"CN=*"}, "until": {"2026-01-31T14:00:00+01:00"},
	}
	_, err := eventFilter(httptest.NewRequest("GET", "/?"+query.Encode(), nil))
	assert.ErrorContains(t, err, "must be after since", "14:00 in Paris is 13:00 UTC")
	query.Set("until", "2026-01-31T14:00:00Z")
	f, err := eventFilter(httptest.NewRequest("GET", "/?"+query.Encode(), nil))
	assert.NoError(t, err)
	assert.Equal(t, []string{"logs", "metrics"}, f.Environments)
	assert.Len(t, f.Clusters, 2)
	assert.Equal(t, []environment.EventAction{environment.EventTaskStarted, environment.EventEnvironmentPaused}, f.Actions)
	assert.Equal(t, []string{id}, f.Instances)
	assert.Len(t, f.Deployments, 1)
	assert.True(t, f.Actor.MatchString("CN=alice"))
	assert.Equal(t, 13, f.Since.Hour())
	assert.Equal(t, 14, f.Until.Hour())
	_, err = eventFilter(httptest.NewRequest("GET", "/?cluster=prod,!", nil))
	assert.ErrorIs(t, err, errCluster)
}

func TestPageToken_IsOfTheSameFilters(t *testing.T) {
	cursor := events.Cursor{HappenedAt: time.Unix(12, 345), ID: "change-1-0"}
	token := pageToken(httptest.NewRequest("GET", "/?environment=logs&limit=5", nil), cursor)
	again, err := pageParameter(httptest.NewRequest("GET", "/?limit=7&environment=logs&nextToken="+token, nil))
	assert.NoError(t, err)
	assert.Equal(t, cursor, *again)
	_, err = pageParameter(httptest.NewRequest("GET", "/?nextToken="+token, nil))
	assert.ErrorContains(t, err, "must be the nextToken of a response to the same filters")
}

func TestBoolParameter_NamesTheOffendingParameterAndValue(t *testing.T) {
	for given, want := range map[string]struct {
		value bool
		err   string
	}{
		"":                        {false, ""},
		"false":                   {false, ""},
		"true":                    {true, ""},
		"yes":                     {false, `Invalid dryRun "yes": must be true or false`},
		"TRUE":                    {false, `Invalid dryRun "TRUE": must be true or false`},
		strings.Repeat("x", 5000): {false, `Invalid dryRun "` + strings.Repeat("x", 100) + `": must be true or false`},
	} {
		value, err := boolParameter(httptest.NewRequest("POST", "/?dryRun="+url.QueryEscape(given), nil), "dryRun")
		assert.Equal(t, want.value, value)
		if want.err == "" {
			assert.NoError(t, err)
			continue
		}
		assert.ErrorIs(t, err, errInvalid)
		assert.EqualError(t, err, want.err)
	}
}
