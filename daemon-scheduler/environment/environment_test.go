package environment

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	first  = "11111111-1111-4111-8111-111111111111"
	second = "22222222-2222-4222-8222-222222222222"
	token1 = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
	token2 = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// v03 is a record of v0.3: InProgressDeploymentID names a completed deployment. A later version wrote Later.
const v03 = `{"Token":"aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa","Name":"logs","DesiredTaskDefinition":"arn:td:1","DesiredTaskCount":3,
"Cluster":"arn:cluster","Health":1,"PendingDeploymentID":"","InProgressDeploymentID":"11111111-1111-4111-8111-111111111111",
"Revision":{"of":"a later version"},"Later":[1, 2],
"Deployments":{"11111111-1111-4111-8111-111111111111":{"ID":"11111111-1111-4111-8111-111111111111","Status":2,"Health":1,
"TaskDefinition":"arn:td:1","DesiredTaskCount":3,"Token":"aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa",
"FailedInstances":[{"Arn":"arn:i1","Reason":"AGENT"},null],"StartTime":"2017-01-01T10:00:00Z","EndTime":"0001-01-01T00:00:00Z","Later":"x"},
"22222222-2222-4222-8222-222222222222":{"Status":2,"FailedInstances":null,"StartTime":"0001-01-01T00:00:00Z"}}}`

func read(t *testing.T, record string) Environment {
	t.Helper()
	var e Environment
	require.NoError(t, json.Unmarshal([]byte(record), &e))
	return e
}

func TestEnvironment_ReadsAV03Record(t *testing.T) {
	e := read(t, v03)
	assert.Equal(t, "logs", e.Name)
	assert.Equal(t, Unhealthy, e.Health)
	assert.Equal(t, []FailedInstance{{"arn:i1", "AGENT"}, {}}, e.Deployments[first].FailedInstances)
	assert.Equal(t, second, e.Deployments[second].ID)
	assert.True(t, e.Deployments[second].StartTime.IsZero())
	_, inProgress := e.InProgress()
	assert.False(t, inProgress, "a completed deployment is not in progress")
	current, deployed := e.Current()
	assert.True(t, deployed)
	assert.Equal(t, first, current.ID)
}

func TestRecord_KeepsUnknownFields(t *testing.T) {
	written, err := json.Marshal(read(t, v03))
	require.NoError(t, err)
	var got, want map[string]any
	require.NoError(t, json.Unmarshal(written, &got))
	require.NoError(t, json.Unmarshal([]byte(v03), &want))
	assert.Equal(t, want["Revision"], got["Revision"])
	assert.Equal(t, want["Later"], got["Later"])
	assert.Equal(t, "x", got["Deployments"].(map[string]any)[first].(map[string]any)["Later"])

	var l Launch
	require.NoError(t, json.Unmarshal([]byte(`{"State":"open","Later":1}`), &l))
	written, err = json.Marshal(l)
	require.NoError(t, err)
	assert.Contains(t, string(written), `"Later":1`)
}

func TestEnvironment_WritesV03sShape(t *testing.T) {
	e, err := New("logs", "arn:cluster", "arn:td:1", token1).Deploy(first, token1, now)
	require.NoError(t, err)
	e.StoredVersion, e.Incarnation = 5, 4
	written, err := json.Marshal(e)
	require.NoError(t, err)
	assert.JSONEq(
		t,
		`{"Name":"logs","Token":"`+token1+`","DesiredTaskDefinition":"arn:td:1","DesiredTaskCount":0,"Cluster":"arn:cluster",
		"Health":0,"PendingDeploymentID":"`+first+`","InProgressDeploymentID":"","LastSequence":1,
		"Deployments":{"`+first+`":{"ID":"`+first+`","Status":0,"Health":0,
		"TaskDefinition":"arn:td:1","DesiredTaskCount":0,"Token":"`+token1+`","FailedInstances":null,
		"StartTime":"2026-01-02T03:04:05Z","EndTime":"0001-01-01T00:00:00Z","Sequence":1,"Revision":1,
		"RolloutState":"IN_PROGRESS","TaskSettingsHash":"`+TaskSettings{}.hash()+`"}}}`,
		string(written),
	)
}

func TestDeploy_RefusesInvalidTokens(t *testing.T) {
	fresh := New("logs", "arn:cluster", "arn:td:1", token1)
	deployed, err := fresh.Deploy(first, token1, now)
	require.NoError(t, err)
	assert.Empty(t, fresh.Deployments, "environments are values")
	updatedToken := deployed
	updatedToken.Token = token2 // as an update does
	for name, tc := range map[string]struct {
		of    Environment
		token string
		want  error
		text  string
	}{
		"missing": {fresh, "", ErrTokenMissing, "the deploymentToken is missing"},
		"no uuid": {fresh, "x", ErrTokenMalformed, "the deploymentToken is not a lower-case UUID"},
		"upper case": {
			fresh, "AAAAAAAA-AAAA-4AAA-8AAA-AAAAAAAAAAAA", ErrTokenMalformed,
			"the deploymentToken is not a lower-case UUID",
		},
		"unknown":             {fresh, token2, ErrTokenOutdated, "Token '" + token2 + "' is outdated"},
		"used, then replaced": {updatedToken, token1, ErrTokenOutdated, "Token '" + token1 + "' is outdated"},
		"used":                {deployed, token1, ErrTokenUsed, "Deployment with token '" + token1 + "' already exists"},
		"in progress":         {updatedToken, token2, ErrInProgress, "There is already a deployment in progress: " + first},
	} {
		t.Run(name, func(t *testing.T) {
			same, err := tc.of.Deploy(second, tc.token, now)
			assert.ErrorIs(t, err, tc.want)
			assert.EqualError(t, err, tc.text)
			assert.Equal(t, tc.of, same)
		})
	}
}

func TestRecordProgress_FollowsADeployment(t *testing.T) {
	e, err := New("logs", "arn:cluster", "arn:td:1", token1).Deploy(first, token1, now)
	require.NoError(t, err)

	e, changed := e.RecordProgress(first, Progress{Status: Running, Desired: 3}, now.Add(time.Second))
	assert.True(t, changed)
	assert.Equal(t, Running, e.Deployments[first].Status)
	assert.Equal(t, first, e.InProgressDeploymentID)
	assert.Empty(t, e.PendingDeploymentID)
	assert.Equal(t, 3, e.DesiredTaskCount)

	_, changed = e.RecordProgress(first, Progress{Status: Running, Desired: 4}, now.Add(2*time.Second))
	assert.False(t, changed, "a count alone causes no write")

	e, changed = e.RecordProgress(first, Progress{Status: Running, Health: Unhealthy}, now)
	assert.True(t, changed)
	assert.Equal(t, Unhealthy, e.Health)
	assert.Equal(t, Unhealthy, e.Deployments[first].Health)

	e, changed = e.RecordProgress(first, Progress{Status: Completed, Desired: 3}, now.Add(time.Minute))
	assert.True(t, changed)
	assert.Equal(t, now.Add(time.Minute), e.Deployments[first].EndTime)
	assert.Equal(t, Healthy, e.Health)

	same, changed := e.RecordProgress(first, Progress{Status: Running}, now)
	assert.False(t, changed, "a completed deployment does not change")
	assert.Equal(t, e, same)
	_, changed = e.RecordProgress(second, Progress{Status: Running}, now)
	assert.False(t, changed, "the deployment does not exist")
}

func TestRecordProgress_DropsLegacyFailures(t *testing.T) {
	e := read(t, v03)
	e, changed := e.RecordProgress(
		first,
		Progress{Status: Completed, Health: Unhealthy, LegacyFailures: []FailedInstance{{"arn:i1", "AGENT"}}},
		now,
	)
	assert.True(t, changed)
	assert.Len(t, e.Deployments[first].FailedInstances, 1)
	e, changed = e.RecordProgress(first, Progress{Status: Completed}, now)
	assert.True(t, changed)
	assert.Nil(t, e.Deployments[first].FailedInstances)
}

func TestHistory_IsNewestFirstAndTrimmed(t *testing.T) {
	e := New("logs", "", "", token1)
	for id, d := range map[string]Deployment{
		"old": {Status: Completed, StartTime: now}, "new": {Status: Completed, StartTime: now.Add(time.Hour)},
		"zero": {Status: Completed}, "pending": {Status: Pending}, "twin": {Status: Completed, StartTime: now},
	} {
		d.ID = id
		e.Deployments[id] = d
	}
	var ids []string
	for _, d := range e.History() {
		ids = append(ids, d.ID)
	}
	assert.Equal(t, []string{"pending", "new", "twin", "old", "zero"}, ids)
	current, _ := e.Current()
	assert.Equal(t, "pending", current.ID)

	trimmed := e.TrimDeployments(2, func(id string) bool { return id == "old" })
	assert.Len(t, e.Deployments, 5)
	assert.Contains(t, trimmed.Deployments, "pending", "the current deployment is kept")
	assert.Contains(t, trimmed.Deployments, "old", "its tasks are live")
	assert.Contains(t, trimmed.Deployments, "new", "a rollback may return to it")
	assert.Len(t, trimmed.Deployments, 3)
	assert.Equal(t, e, e.TrimDeployments(5, func(string) bool { return false }))
}

func TestIsName_IsToken_CheckTheForm(t *testing.T) {
	assert.True(t, IsName("aZ09-_"))
	assert.False(t, IsName(""))
	assert.False(t, IsName("a\n"))
	assert.False(t, IsName("1234567890123456789012345678901"))
	assert.True(t, IsToken(token1))
	assert.False(t, IsToken(token1+"\n"))
}
