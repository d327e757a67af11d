package job

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestChangeIsAFlatJobWithoutSecrets(t *testing.T) {
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	code := 7
	record, err := json.Marshal(&Job{ID: 3, Queue: "q", State: Failed, ExitCode: &code, UID: 1000, EnvID: 9, Want: WantStop})
	if err != nil {
		t.Fatal(err)
	}
	line := []byte(`{"seq":12,"at":"2030-01-02T03:04:05Z","change":"changed",` + string(record[1:]))
	for _, secret := range []string{"env", "want", "1000"} {
		if strings.Contains(strings.ToLower(string(line)), secret) {
			t.Errorf("%q in %s", secret, line)
		}
	}
	back, err := ParseChange(line)
	if err != nil || string(back.JSON) != string(line) || back.Seq != 12 || back.Kind != JobChanged || back.JobID != 3 || back.State != Failed || back.Queue != "q" || !back.At.Equal(at) {
		t.Errorf("read back %+v, %v", back, err)
	}
	j, err := back.Job()
	if err != nil || *j.ExitCode != 7 {
		t.Errorf("job read back: %+v, %v", j, err)
	}
}

func TestQueueChange(t *testing.T) {
	c, err := NewQueueChange(1, time.Unix(0, 0), QueueSet, &Queue{Name: "gpu", Concurrency: 2, Jobs: map[State]int64{Queued: 1}})
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseChange(c.JSON)
	if err != nil || back.Queue != "gpu" || back.JobID != 0 {
		t.Errorf("read back %+v, %v", back, err)
	}
	q, err := back.QueueConfig()
	if err != nil || q.Concurrency != 2 || q.Jobs != nil {
		t.Errorf("queue %+v, %v", q, err)
	}
	if j, err := back.Job(); j != nil || err != nil {
		t.Errorf("a queue's change has job %v, %v", j, err)
	}
}
