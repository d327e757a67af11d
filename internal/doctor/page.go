package doctor

import "context"

// page looks whether the page can be reached: a port that is taken keeps nothing else from working, so
// that nobody may have noticed.
func (e *exam) page(context.Context) {
	listen := e.Config.Web.Listen
	if listen == "" {
		e.ok(e.Paths.Config, "no page and no port are wanted")
		return
	}
	remedy := e.restart()
	first := "first end what has the port, or set another listen in [web] of " + e.Paths.Config
	if e.status != nil && e.status.Web != nil {
		listen = e.status.Web.Listen // in force, whatever is in the file by now
	}
	switch {
	case e.status != nil && e.status.Web == nil:
		e.warn(listen, e.restart(), "the settings want a page, and the daemon serves none: they have changed since it began")
	case e.status != nil && e.status.Web.Problem != "":
		e.problem(listen, remedy, "the page is not served: %s", e.status.Web.Problem).note(first)
	case e.status != nil:
		e.ok(listen, "the page is served at %s", e.status.Web.URL)
	case e.daemon == 0:
		if who := e.Holder(listen); who != "" {
			e.problem(listen, remedy, "the page's port is taken, by %s", who).note(first)
			return
		}
		e.ok(listen, "nobody else is seen to have the page's port")
	}
	// A daemon that is there and does not answer is the service's finding.
}
