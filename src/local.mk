# One convenience library per room; a program or test links only the rooms it may know.

noinst_LIBRARIES += src/libbase.a
src_libbase_a_CPPFLAGS = $(AM_CPPFLAGS) $(DIGEST_CFLAGS)
src_libbase_a_SOURCES = \
	src/base/buf.c src/base/buf.h \
	src/base/clock.c src/base/clock.h \
	src/base/cursor.c src/base/cursor.h \
	src/base/hash.c src/base/hash.h \
	src/base/log.c src/base/log.h \
	src/base/rc.c src/base/rc.h \
	src/base/utf8.c src/base/utf8.h

noinst_LIBRARIES += src/libconf.a
src_libconf_a_CPPFLAGS = $(AM_CPPFLAGS) $(LIBCONFIG_CFLAGS)
src_libconf_a_SOURCES = \
	src/conf/cmdline.c \
	src/conf/error.c src/conf/error.h \
	src/conf/literal.c src/conf/literal.h \
	src/conf/loader.c \
	src/conf/nearest.c src/conf/nearest.h \
	src/conf/option.c src/conf/option.h \
	src/conf/print.c \
	src/conf/source.c src/conf/source.h \
	src/conf/value.c src/conf/value.h

noinst_LIBRARIES += src/libloop.a
src_libloop_a_CPPFLAGS = $(AM_CPPFLAGS) $(LIBEVENT_CFLAGS)
src_libloop_a_SOURCES = \
	src/loop/chunk.c src/loop/chunk.h \
	src/loop/pipe.c src/loop/pipe.h \
	src/loop/work.c src/loop/work.h \
	src/loop/counters.c src/loop/counters.h \
	src/loop/pool.c src/loop/pool.h \
	src/loop/signal.c src/loop/signal.h \
	src/loop/timer.c src/loop/timer.h \
	src/loop/worker.c src/loop/worker.h

noinst_LIBRARIES += src/libstore.a
src_libstore_a_CPPFLAGS = $(AM_CPPFLAGS) $(DIGEST_CFLAGS)
src_libstore_a_SOURCES = \
	src/store/commit.c src/store/commit.h \
	src/store/digest.c src/store/digest.h \
	src/store/implied.c src/store/implied.h \
	src/store/iov.c src/store/iov.h \
	src/store/listing.c src/store/listing.h \
	src/store/local.c src/store/local.h src/store/local_private.h \
	src/store/local_claim.c \
	src/store/local_commit.c \
	src/store/local_now.c \
	src/store/local_prefix.c \
	src/store/local_put.c \
	src/store/local_reserve.c \
	src/store/local_request.c \
	src/store/local_whole.c \
	src/store/meta.c src/store/meta.h \
	src/store/names.c src/store/names.h \
	src/store/path.c src/store/path.h \
	src/store/put_content.c src/store/put_content.h \
	src/store/put_spec.h \
	src/store/reader.c src/store/reader.h \
	src/store/root.c src/store/root.h \
	src/store/settle.c src/store/settle.h \
	src/store/space.c src/store/space.h \
	src/store/stage.c src/store/stage.h src/store/stage_private.h \
	src/store/stage_open.c \
	src/store/stage_dir.c src/store/stage_dir.h \
	src/store/stage_part.c \
	src/store/stage_write.c \
	src/store/store.c src/store/store.h \
	src/store/request.c src/store/request.h \
	src/store/digest_trail.c src/store/digest_trail.h \
	src/store/stored_digest.c src/store/stored_digest.h \
	src/store/sum.c src/store/sum.h \
	src/store/transfer.c src/store/transfer.h \
	src/store/upload_key.h \
	src/store/upload_log.c src/store/upload_log.h \
	src/store/uploads.c src/store/uploads.h src/store/uploads_private.h \
	src/store/uploads_keep.c src/store/uploads_name.c \
	src/store/uploads_trail.c \
	src/store/uploads_write.c

noinst_LIBRARIES += src/libnet.a
src_libnet_a_CPPFLAGS = $(AM_CPPFLAGS) $(LIBEVENT_CFLAGS)
src_libnet_a_SOURCES = \
	src/net/addr.c src/net/addr.h \
	src/net/congestion.c src/net/congestion.h \
	src/net/conn.c src/net/conn.h src/net/conn_private.h \
	src/net/conn_bulk.c \
	src/net/conn_end.c \
	src/net/conn_time.c src/net/conn_time.h \
	src/net/dial.c src/net/dial.h \
	src/net/peer_reads.c src/net/peer_reads.h \
	src/net/machine.c src/net/machine.h \
	src/net/pump.c src/net/pump.h src/net/pump_private.h \
	src/net/pump_receive.c \
	src/net/pump_send.c

noinst_LIBRARIES += src/libcore.a
src_libcore_a_SOURCES = \
	src/core/limits.c src/core/limits.h \
	src/core/registry.c src/core/registry.h

# Protocol 1: the messages, and each half by itself, so that a client links no core/.
noinst_LIBRARIES += src/libv1message.a src/libv1server.a src/libv1client.a
src_libv1message_a_SOURCES = src/v1/message.c src/v1/message.h
src_libv1server_a_SOURCES = \
	src/v1/server.h \
	src/v1/server_common.c src/v1/server_common.h \
	src/v1/server_download.c \
	src/v1/server_upload.c
src_libv1client_a_SOURCES = \
	src/v1/client.h \
	src/v1/client_common.c src/v1/client_common.h \
	src/v1/client_download.c \
	src/v1/client_upload.c

# Protocol 2: what both sides share, and each half by itself.
noinst_LIBRARIES += src/libv2message.a src/libv2client.a
src_libv2message_a_SOURCES = \
	src/v2/attr.c src/v2/attr.h \
	src/v2/frame.c src/v2/frame.h \
	src/v2/message.c src/v2/message.h \
	src/v2/result.c src/v2/result.h \
	src/v2/rules.c src/v2/rules.h
src_libv2client_a_SOURCES = \
	src/v2/client.c src/v2/client.h src/v2/client_private.h \
	src/v2/client_ask.c \
	src/v2/client_doing.c \
	src/v2/client_get.c \
	src/v2/client_input.c \
	src/v2/client_output.c \
	src/v2/client_part.c \
	src/v2/client_put.c \
	src/v2/client_put_message.c \
	src/v2/client_request.c \
	src/v2/client_source.c \
	src/v2/client_small.c \
	src/v2/client_target.c \
	src/v2/client_time.c

noinst_LIBRARIES += src/libv2server.a
src_libv2server_a_SOURCES = \
	src/v2/server.h src/v2/server_private.h \
	src/v2/server_conn.c \
	src/v2/server_content.c \
	src/v2/server_frames.c \
	src/v2/server_get.c \
	src/v2/server_list.c \
	src/v2/server_names.c src/v2/server_places.c \
	src/v2/server_put.c src/v2/server_put.h \
	src/v2/server_receipt.c \
	src/v2/server_requests.c \
	src/v2/server_same.c \
	src/v2/server_send.c \
	src/v2/server_time.c \
	src/v2/server_upload.c

noinst_LIBRARIES += src/libdaemon.a
src_libdaemon_a_CPPFLAGS = $(AM_CPPFLAGS) $(LIBEVENT_CFLAGS) $(LIBSYSTEMD_CFLAGS)
src_libdaemon_a_SOURCES = \
	src/daemon/activation.c src/daemon/activation.h \
	src/daemon/background.c src/daemon/background.h \
	src/daemon/balance.c src/daemon/balance.h \
	src/daemon/landlock.c src/daemon/landlock.h \
	src/daemon/listener.c src/daemon/listener.h \
	src/daemon/listeners.c src/daemon/listeners.h \
	src/daemon/notify.c src/daemon/notify.h \
	src/daemon/options.c src/daemon/options.h \
	src/daemon/pid_file.c src/daemon/pid_file.h \
	src/daemon/privileges.c src/daemon/privileges.h \
	src/daemon/server.c src/daemon/server.h \
	src/daemon/service.c src/daemon/service.h \
	src/daemon/services.c src/daemon/services.h \
	src/daemon/session.c src/daemon/session.h \
	src/daemon/sockets.c src/daemon/sockets.h \
	src/daemon/upkeep.c src/daemon/upkeep.h

sbin_PROGRAMS += ftxferd
ftxferd_CPPFLAGS = $(AM_CPPFLAGS) $(LIBEVENT_CFLAGS) $(LIBCONFIG_CFLAGS)
ftxferd_SOURCES = src/daemon/main.c
ftxferd_LDADD = \
	src/libdaemon.a src/libv2server.a src/libv2message.a src/libv1server.a src/libv1message.a \
	src/libnet.a src/libcore.a \
	src/libstore.a src/libloop.a src/libconf.a src/libbase.a \
	$(DIGEST_LIBS) $(LIBEVENT_LIBS) $(LIBCONFIG_LIBS) $(LIBSYSTEMD_LIBS)

noinst_LIBRARIES += src/libclient.a src/libcli.a
src_libclient_a_CPPFLAGS = $(AM_CPPFLAGS) $(LIBEVENT_CFLAGS)
src_libclient_a_SOURCES = \
	src/client/explain.c src/client/explain.h \
	src/client/ftxfer.h \
	src/client/item.c \
	src/client/item_content.c \
	src/client/item_life.c \
	src/client/item_why.c \
	src/client/job.c \
	src/client/link.c \
	src/client/local_file.c src/client/local_file.h \
	src/client/names.c \
	src/client/outcome.c \
	src/client/prepare.c \
	src/client/remote.c \
	src/client/session.c src/client/session.h \
	src/client/targets.c \
	src/client/totals.c \
	src/client/tree.c src/client/tree.h \
	src/client/tree_emit.c \
	src/client/tree_list.c \
	src/client/tree_order.c \
	src/client/tree_pattern.c \
	src/client/tree_remove.c \
	src/client/tree_visit.c \
	src/client/tree_way.c \
	src/client/words.c
src_libcli_a_CPPFLAGS = $(AM_CPPFLAGS) $(LIBEVENT_CFLAGS) $(JANSSON_CFLAGS)
src_libcli_a_SOURCES = \
	src/cli/arguments.c \
	src/cli/commands.c src/cli/commands.h \
	src/cli/exit_code.c \
	src/cli/help.c \
	src/cli/options.c src/cli/options.h \
	src/cli/progress.c src/cli/progress.h \
	src/cli/report.c src/cli/report.h \
	src/cli/report_json.c \
	src/cli/run.c src/cli/run.h \
	src/cli/settings.c

bin_PROGRAMS += ftxfer
ftxfer_CPPFLAGS = $(AM_CPPFLAGS) $(LIBEVENT_CFLAGS) $(LIBCONFIG_CFLAGS)
ftxfer_SOURCES = src/cli/main.c
ftxfer_LDADD = \
	src/libcli.a src/libclient.a src/libv1client.a src/libv1message.a \
	src/libv2client.a src/libv2message.a src/libnet.a \
	src/libstore.a src/libloop.a src/libconf.a src/libbase.a \
	$(DIGEST_LIBS) $(LIBEVENT_LIBS) $(LIBCONFIG_LIBS) $(JANSSON_LIBS)

noinst_LIBRARIES += src/libstammer.a
src_libstammer_a_CPPFLAGS = $(AM_CPPFLAGS) $(LIBEVENT_CFLAGS)
src_libstammer_a_SOURCES = \
	src/stammer/connection.c src/stammer/connection.h \
	src/stammer/fault.c src/stammer/fault.h \
	src/stammer/latency.c src/stammer/latency.h \
	src/stammer/forward.c src/stammer/forward.h \
	src/stammer/options.c src/stammer/options.h \
	src/stammer/random.c src/stammer/random.h \
	src/stammer/relay.c src/stammer/relay.h \
	src/stammer/sock.c src/stammer/sock.h

bin_PROGRAMS += stammerproxy
stammerproxy_CPPFLAGS = $(AM_CPPFLAGS) $(LIBEVENT_CFLAGS)
stammerproxy_SOURCES = src/stammer/main.c
stammerproxy_LDADD = src/libstammer.a src/libconf.a src/libnet.a src/libloop.a src/libbase.a \
	$(LIBEVENT_LIBS) $(LIBCONFIG_LIBS)
