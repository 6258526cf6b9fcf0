/*
 * notify.h - tells the service manager how the daemon is (sd_notify(3)); silent where there is
 * none.
 * Layer: daemon. Threads: the main one.
 * Tests: tests/system/test_daemon.py
 */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

void notify_ready(void);
void notify_stopping(void);

#endif
